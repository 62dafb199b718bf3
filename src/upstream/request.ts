/** The bytes of a request to an upstream, and whether a message answers it. */

import { Soundness } from '../dns/soundness.js';
import {
  atAdditionals,
  atAnswers,
  atAuthorities,
  atQuestions,
  flagAd,
  flagCd,
  flagQr,
  flagRd,
  flagsOpcode,
  flagTc,
  messageFlags,
  messageRcode,
  sameName,
  setU16,
  typeOpt,
  u16,
} from '../dns/wire.js';
import { headerBytes, nameBytesMax, requestOptionsBytesMax } from '../limits.js';
import type { Request } from './ask.js';

const optBytes = 11;
const typeAndClassBytes = 4;
const flagDo = 0x80;

export const requestBytesMax = headerBytes + nameBytesMax + typeAndClassBytes + optBytes + requestOptionsBytesMax;
export const plainRequestBytesMax = headerBytes + nameBytesMax + typeAndClassBytes;

interface RequestForm {
  readonly id: number;
  readonly hasOpt: boolean;
  /** The largest UDP answer that we take. */
  readonly udpBytes: number;
}

/**
 * Writes the request at `at`, where `requestBytesMax` bytes are free; returns its end. AD asks for AD in the answer
 * (RFC 6840 5.7); the OPT has the UDP size and DO (RFC 6891 6.1).
 */
export function writeRequest(out: Uint8Array, at: number, request: Request, form: RequestForm): number {
  const { question } = request;
  setU16(out, at, form.id);
  setU16(out, at + 2, (request.recursionDesired ? flagRd : 0) | flagAd | (request.checkingDisabled ? flagCd : 0));
  setU16(out, at + atQuestions, 1);
  setU16(out, at + atAnswers, 0);
  setU16(out, at + atAuthorities, 0);
  setU16(out, at + atAdditionals, form.hasOpt ? 1 : 0);
  out.set(question, at + headerBytes);
  const end = at + headerBytes + question.length;
  if (!form.hasOpt) return end;
  out.fill(0, end, end + optBytes);
  setU16(out, end + 1, typeOpt);
  setU16(out, end + 3, form.udpBytes);
  if (request.dnssecOk) out[end + 7] = flagDo;
  const { options } = request;
  if (options === undefined) return end + optBytes;
  setU16(out, end + 9, options.length);
  out.set(options, end + optBytes);
  return end + optBytes + options.length;
}

/**
 * Writes the request for a packet's question, which ends at `questionEnd`, with RD and without OPT, at `at`, where
 * `plainRequestBytesMax` bytes are free; returns its end.
 */
export function writePlainRequest(
  out: Uint8Array,
  at: number,
  packet: Uint8Array,
  { id, questionEnd }: { readonly id: number; readonly questionEnd: number },
): number {
  setU16(out, at, id);
  setU16(out, at + 2, flagRd | flagAd);
  setU16(out, at + atQuestions, 1);
  setU16(out, at + atAnswers, 0);
  setU16(out, at + atAuthorities, 0);
  setU16(out, at + atAdditionals, 0);
  for (let from = headerBytes; from < questionEnd; from++) out[at + from] = packet[from];
  return at + questionEnd;
}

/** Whether the request needs an OPT for more than the UDP size. */
export function needsOpt({ dnssecOk, options }: Request): boolean {
  return dnssecOk || options !== undefined;
}

/**
 * `answer`: to this question, with readable records. `truncated`: with TC. `cut`: without TC, but it ends or points
 * where it must not. `bare`: an error without a question, as old servers send. `broken`: to this question, and
 * senseless. `stranger`: no answer to this question. `garbage`: too short to tell.
 */
type AnswerVerdict = 'answer' | 'truncated' | 'cut' | 'bare' | 'broken' | 'stranger' | 'garbage';

/** What a message says; overwritten by each `read`. */
export class AnswerReader {
  /** All 12 bits if there is an OPT. */
  rcode = 0;
  hasOpt = false;
  readonly records = new Soundness();
  questionBytes = 0;
  /** No answer records. */
  isEmpty = false;
  verdict: AnswerVerdict = 'garbage';

  /** Reads a message whose id matches. Borrows it until it returns. */
  read(message: Uint8Array, request: Request): AnswerVerdict {
    this.verdict = this.#judge(message, request);
    return this.verdict;
  }

  #judge(message: Uint8Array, request: Request): AnswerVerdict {
    if (message.length < headerBytes) return 'garbage';
    const flags = messageFlags(message);
    if ((flags & (flagQr | flagsOpcode)) !== flagQr) return 'stranger';
    this.rcode = messageRcode(message);
    this.hasOpt = false;
    const questions = u16(message, atQuestions);
    if (questions === 0 && this.rcode !== 0) return 'bare';
    if (questions !== 1) return 'stranger';
    const { question } = request;
    if (message.length < headerBytes + question.length) return 'garbage';
    if (!echoes(message, question)) return 'stranger';
    this.questionBytes = question.length;
    this.isEmpty = u16(message, atAnswers) === 0;
    const damage = this.records.look(message, headerBytes + question.length);
    this.hasOpt = this.records.hasOpt;
    this.rcode |= this.records.extendedRcode;
    if ((flags & flagTc) !== 0) return 'truncated';
    return answerVerdict[damage];
  }
}

const answerVerdict = { none: 'answer', cut: 'cut', garbled: 'broken' } as const;

/** The question in the answer, its name in any case (RFC 5452 9.1). */
function echoes(message: Uint8Array, question: Uint8Array): boolean {
  const nameBytes = question.length - typeAndClassBytes;
  for (let at = nameBytes; at < question.length; at++) {
    if (message[headerBytes + at] !== question[at]) return false;
  }
  return sameName(message, headerBytes, question, 0, nameBytes);
}
