/**
 * What we say to an upstream, and whether what comes back answers it. Messages as bytes: no sockets, no state but the
 * facts of the answer last read.
 */

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

/** No request takes more. */
export const requestBytesMax = headerBytes + nameBytesMax + typeAndClassBytes + optBytes + requestOptionsBytesMax;

/** How one request is written, besides what is asked. */
interface RequestForm {
  readonly id: number;
  readonly hasOpt: boolean;
  /** What we take over UDP. */
  readonly udpBytes: number;
}

/**
 * Writes the request at `at`, where `requestBytesMax` bytes are free, and returns the offset behind it. AD asks for
 * the AD bit in the answer (RFC 6840 5.7); the OPT says what we take over UDP and carries DO (RFC 6891 6.1).
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

/** Whether the request says something that takes an OPT, besides what we take over UDP. */
export function needsOpt({ dnssecOk, options }: Request): boolean {
  return dnssecOk || options !== undefined;
}

/**
 * `answer`: to this question, and its records can be read. `truncated`: to this question, with TC. `cut`: to this
 * question, without TC, but it ends or leads where it must not. `bare`: an error without a question, as old servers
 * answer what they do not understand. `broken`: to this question, and senseless. The others are no answers to this
 * request: `stranger` is to another question or none at all, `garbage` too short to tell.
 */
type Verdict = 'answer' | 'truncated' | 'cut' | 'bare' | 'broken' | 'stranger' | 'garbage';

/** What a message says; overwritten by each `read`. */
export class AnswerReader {
  /** All 12 bits where there is an OPT record. */
  rcode = 0;
  hasOpt = false;
  /** Of a message that answers the question. */
  readonly records = new Soundness();
  questionBytes = 0;
  /** It has no answer records. */
  isEmpty = false;
  verdict: Verdict = 'garbage';

  /** Reads a message whose id has been checked. Borrows it until it returns. */
  read(message: Uint8Array, request: Request): Verdict {
    this.verdict = this.#judge(message, request);
    return this.verdict;
  }

  #judge(message: Uint8Array, request: Request): Verdict {
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
    return verdictOf[damage];
  }
}

const verdictOf = { none: 'answer', cut: 'cut', garbled: 'broken' } as const;

/** The question comes back, its name in any spelling (RFC 5452 9.1). */
function echoes(message: Uint8Array, question: Uint8Array): boolean {
  const nameBytes = question.length - typeAndClassBytes;
  for (let at = nameBytes; at < question.length; at++) {
    if (message[headerBytes + at] !== question[at]) return false;
  }
  return sameName(message, headerBytes, question, 0, nameBytes);
}
