/* Asks one question after the other, as a stub resolver does: send, poll if the answer is not there yet, receive.
 *
 *   asker ADDRESS QUESTIONS RATE SECONDS
 *
 * QUESTIONS has lines "NAME TYPE", RATE is questions a second, 0 for one at once after the other. Prints one line of
 * JSON: what was sent and answered, its own processor time, and latencies in nanoseconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { questionsMax = 20000, queryBytesMax = 272, answersMax = 8 << 20, timeoutMs = 1000 };

static unsigned char queries[questionsMax][queryBytesMax];
static int queryBytes[questionsMax];
static uint32_t latencies[answersMax];

static int64_t now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static double processorMicroseconds(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

/* The query for "NAME TYPE", which must be A or AAAA. */
static int encode(char *line, unsigned char *out) {
  char *type = strchr(line, ' ');
  if (type == NULL) return 0;
  *type++ = 0;
  memset(out, 0, 12);
  out[2] = 1;
  out[5] = 1;
  int at = 12;
  for (char *label = strtok(line, "."); label != NULL; label = strtok(NULL, ".")) {
    int bytes = strlen(label);
    if (bytes > 63 || at + bytes > 260) return 0;
    out[at++] = bytes;
    memcpy(out + at, label, bytes);
    at += bytes;
  }
  out[at++] = 0;
  out[at++] = 0;
  out[at++] = strncmp(type, "AAAA", 4) == 0 ? 28 : 1;
  out[at++] = 0;
  out[at++] = 1;
  return at;
}

static int byValue(const void *one, const void *other) {
  uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
  return a < b ? -1 : a > b;
}

/* Whether the answer to this query came. */
static int ask(int fd, unsigned char *query, int bytes, uint16_t id) {
  unsigned char answer[4096];
  query[0] = id >> 8;
  query[1] = id & 255;
  if (send(fd, query, bytes, 0) != bytes) return 0;
  for (;;) {
    ssize_t got = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
    if (got >= 12 && answer[0] == query[0] && answer[1] == query[1]) return 1;
    if (got >= 0) continue;
    if (errno != EAGAIN) return 0;
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    if (poll(&entry, 1, timeoutMs) <= 0) return 0;
  }
}

int main(int count, char **words) {
  if (count != 5) return 2;
  FILE *file = fopen(words[2], "r");
  if (file == NULL) return 1;
  char line[512];
  int questions = 0;
  while (questions < questionsMax && fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "\n")] = 0;
    queryBytes[questions] = encode(line, queries[questions]);
    if (queryBytes[questions] > 0) questions++;
  }
  if (questions == 0) return 1;
  int rate = atoi(words[3]);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53)};
  inet_pton(AF_INET, words[1], &to.sin_addr);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) return 1;
  int64_t startedAt = now(), endsAt = startedAt + (int64_t)(atof(words[4]) * 1e9);
  double before = processorMicroseconds();
  long sent = 0, answered = 0;
  for (int64_t at = startedAt; at < endsAt && answered < answersMax; sent++) {
    if (rate > 0) {
      int64_t due = startedAt + sent * 1000000000LL / rate;
      struct timespec until = {.tv_sec = due / 1000000000LL, .tv_nsec = due % 1000000000LL};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
    at = now();
    if (!ask(fd, queries[sent % questions], queryBytes[sent % questions], sent)) continue;
    latencies[answered++] = now() - at;
  }
  double seconds = (now() - startedAt) / 1e9, processor = processorMicroseconds() - before;
  qsort(latencies, answered, sizeof *latencies, byValue);
  uint32_t p50 = answered ? latencies[answered / 2] : 0, p99 = answered ? latencies[answered * 99 / 100] : 0;
  printf("{\"sent\":%ld,\"answered\":%ld,\"seconds\":%.6f,\"processorMicroseconds\":%.0f,\"p50\":%u,\"p99\":%u}\n", sent,
         answered, seconds, processor, p50, p99);
  return 0;
}
