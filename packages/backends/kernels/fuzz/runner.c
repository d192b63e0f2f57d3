/*
 * Runs packed programs under sanitizers: reads cases from standard input and writes the answers to standard output, in 32-bit words.
 *
 *     words of the program, program, words of the arena, arena, calls, (segment, time step) for each
 *     → 0 and the arena afterwards, or a refusal
 *
 * Arena memory outside all buffers is poisoned, to detect a kernel that accesses memory outside its operands. Each case is run twice, with
 * pieces in opposite orders on different threads: the results must be bit-identical.
 */
#include "session.h"
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 3, MOST_BYTES = 1 << 26, DIFFERENT = 15 };

extern const Kernels kernels_only;
const Kernels *kernels_here(void) { return &kernels_only; }

static int backwards;

void parallel(const Run *run, int32_t pieces, Piece piece, void *work) {
  for (int32_t i = 0; i < pieces; i++) {
    const int32_t k = backwards ? pieces - 1 - i : i;
    piece(work, k, (k + backwards) % run->threads);
  }
}

static void *get(size_t bytes) {
  void *memory = aligned_alloc(64, align64(bytes ? bytes : 1));
  if (!memory || (bytes && fread(memory, 1, bytes, stdin) != bytes)) exit(0);
  return memory;
}

static int32_t get_word(void) {
  int32_t word;
  if (fread(&word, 4, 1, stdin) != 1) exit(0);
  return word;
}

static void answer(int32_t status, const void *bytes, size_t count) {
  fwrite(&status, 4, 1, stdout);
  if (count) fwrite(bytes, 1, count, stdout);
  fflush(stdout);
}

static void guard(const Program *program, uint8_t *arena, size_t bytes) {
  ASAN_POISON_MEMORY_REGION(arena, bytes);
  for (int32_t i = 0; i < program->buffers; i++) {
    const Buffer *b = &buffers_of(program)[i];
    const size_t own = 4 * (size_t)(b->elements == SPIKES ? b->rows * words_of(b->channels) : b->size);
    for (int32_t slot = 0; slot < b->slots; slot++)
      ASAN_UNPOISON_MEMORY_REGION(arena + 64 * ((size_t)b->offset + (size_t)slot * (size_t)b->stride), own);
  }
}

int main(void) {
  for (;;) {
    const int32_t words = get_word();
    int32_t *program = get(4 * (size_t)words);
    const size_t given = 4 * (size_t)get_word();
    uint8_t *before = get(given);
    const int32_t count = get_word();
    int32_t *calls = get(8 * (size_t)count);

    const double bytes = session_bytes(program, words, THREADS);
    const size_t arena_bytes = bytes < 0 ? 0 : 64 * (size_t)((const Program *)program)->arena;
    if (bytes < 0) answer((int32_t)-bytes, 0, 0);
    else if (bytes > MOST_BYTES || arena_bytes > MOST_BYTES) answer(NO_MEMORY, 0, 0);
    else {
      /* The answer has the size of the arena in the request, whatever the program states. */
      const size_t room = arena_bytes > given ? arena_bytes : given;
      uint8_t *arenas[2];
      int32_t status = 0;
      for (backwards = 0; backwards < 2; backwards++) {
        uint8_t *arena = arenas[backwards] = aligned_alloc(64, align64(room + 1)), *memory = aligned_alloc(64, align64((size_t)bytes));
        memset(arena, 0, room);
        memcpy(arena, before, given);
        session_open(memory, program, THREADS, arena);
        guard((const Program *)program, arena, room);
        status = session_run((Session *)memory, calls, count);
        ASAN_UNPOISON_MEMORY_REGION(arena, room);
        free(memory);
      }
      if (!status && memcmp(arenas[0], arenas[1], room)) status = DIFFERENT;
      answer(status, arenas[0], status ? 0 : given);
      free(arenas[0]);
      free(arenas[1]);
    }
    free(program);
    free(before);
    free(calls);
  }
}
