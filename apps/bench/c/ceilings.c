/* Peak rates of this machine, of all threads together: `ceilings THREADS` prints JSON.
 *
 * With -march=native, V is the widest vector; with WIDTH=16 it is WebAssembly's. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifndef WIDTH
#if defined(__AVX512F__)
#define WIDTH 64
#elif defined(__AVX__)
#define WIDTH 32
#else
#define WIDTH 16
#endif
#endif

typedef float V __attribute__((vector_size(WIDTH)));
enum { LANES = WIDTH / 4, CHAINS = 12 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

typedef struct {
  void (*work)(float *, size_t, int);
  float *memory;
  size_t floats;
  int repeats;
} Job;

/* Marks a vector register as changed, so that the compiler neither merges operations nor moves them out of the loop. */
#if defined(__AVX512F__)
#define HOLD(v) __asm__ volatile("" : "+v"(v))
#elif defined(__x86_64__)
#define HOLD(v) __asm__ volatile("" : "+x"(v))
#else
#define HOLD(v) __asm__ volatile("" : "+w"(v))
#endif

#define EACH(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11)

/* Twelve independent chains hide each other's latency. */
#define CHAINED(name, operation)                                  \
  static void name(float *memory, size_t floats, int repeats) {   \
    (void)floats;                                                  \
    V b = *(V *)(memory + CHAINS * LANES), c = b;                  \
    EACH(LOAD)                                                     \
    for (int r = 0; r < repeats; r++) { EACH(operation) }          \
    EACH(STORE)                                                    \
    HOLD(c);                                                       \
  }
#define LOAD(i) V a##i = *(V *)(memory + i * LANES);
#define STORE(i) *(V *)(memory + i * LANES) = a##i;
#define MULTIPLY_ADD(i) a##i = a##i * b + c; HOLD(a##i);
#define PLUS(i) a##i += b; HOLD(a##i);
CHAINED(multiplyAdd, MULTIPLY_ADD)
CHAINED(plus, PLUS)

/* Eight sums, so that loads and not additions are the bottleneck. */
static void sum(float *memory, size_t floats, int repeats) {
  V total[8] = {0};
  for (int r = 0; r < repeats; r++) {
    for (size_t i = 0; i < floats; i += 8 * LANES)
      _Pragma("GCC unroll 8") for (int k = 0; k < 8; k++) total[k] += *(const V *)(memory + i + k * LANES);
    __asm__ volatile("" : "+r"(memory) : : "memory");
  }
  for (int k = 1; k < 8; k++) total[0] += total[k];
  volatile float keep = total[0][0];
  (void)keep;
}

static void *start(void *argument) {
  Job *job = argument;
  job->work(job->memory, job->floats, job->repeats);
  return 0;
}

/* The best rate of several tries, in units per second; `units` is the work of one repetition of one thread. */
static double rate(void (*work)(float *, size_t, int), size_t floats, double units, int threads, float **memory) {
  pthread_t ids[64];
  Job jobs[64];
  double best = 0;
  int repeats = 1;
  for (int tries = 0; tries < 12;) {
    double began = now();
    for (int t = 0; t < threads; t++) {
      jobs[t] = (Job){work, memory[t], floats, repeats};
      pthread_create(&ids[t], 0, start, &jobs[t]);
    }
    for (int t = 0; t < threads; t++) pthread_join(ids[t], 0);
    double seconds = now() - began;
    if (seconds < 0.02) {
      repeats *= 2;
      continue;
    }
    double found = units * repeats * threads / seconds;
    if (found > best) best = found;
    tries++;
  }
  return best;
}

int main(int count, char **arguments) {
  int threads = count > 1 ? atoi(arguments[1]) : 1;
  if (threads < 1) threads = 1;
  if (threads > 64) threads = 64;
  const size_t large = (size_t)16 << 20, small = (size_t)64 << 10; /* floats: 64 MiB, and 256 KiB, which fits in L2 */
  float *memory[64];
  for (int t = 0; t < threads; t++) {
    memory[t] = aligned_alloc(64, large * sizeof(float));
    if (!memory[t]) return 1;
    for (size_t i = 0; i < large; i++) memory[t][i] = 1e-3f;
  }
  double flops = rate(multiplyAdd, 0, 2.0 * CHAINS * LANES, threads, memory);
  double adds = rate(plus, 0, 1.0 * CHAINS * LANES, threads, memory);
  double l2 = rate(sum, small, small * sizeof(float), threads, memory);
  double far = rate(sum, large, large * sizeof(float), threads, memory);
  printf("{\"vectorBits\":%d,\"threads\":%d,\"fma\":%.4g,\"add\":%.4g,\"l2\":%.4g,\"memory\":%.4g}\n", WIDTH * 8, threads, flops,
         adds, l2, far);
  return 0;
}
