/*
 * The MPI functions called from JavaScript. One operation runs at a time: `sum` or `gather` starts it and `progress` advances it, so
 * JavaScript's event loop continues meanwhile. This library owns the memory that MPI uses while JavaScript runs.
 */
#include <limits.h>
#include <mpi.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))

enum { MAX_SUMS = 64, BLOCK = 4096, PENDING = 0, DONE = 1, FAILED = -1, NO_MEMORY = -2 };

/* Rows of numbers that are summed over all ranks, repeatedly. */
typedef struct {
  float *rows, *received;
  int length, count;
  int *counts, *places, *receivedCounts, *receivedPlaces;
} Sum;

typedef enum { IDLE, SCATTERING, COLLECTING, MEASURING, GATHERING } Phase;

static MPI_Comm everyone = MPI_COMM_NULL;
static int rank, size, failure = MPI_SUCCESS;
static Sum sums[MAX_SUMS];
static Phase phase;
static Sum *current;
static MPI_Request *requests;
static int pending;
/* Buffers of `gather`: this rank's contribution, and those of all ranks. */
static uint8_t *given, *gathered;
static int givenBytes, *sizes, *offsets;

static int failed(int code) {
  if (code != MPI_SUCCESS) failure = code;
  return code != MPI_SUCCESS;
}

/* Returns 0 or an error code. Errors do not abort the process, so that the caller can report the rank and the reason. */
EXPORT int32_t spikeroute_mpi_start(void) {
  int provided, initialised;
  if (failed(MPI_Initialized(&initialised))) return FAILED;
  if (!initialised && failed(MPI_Init_thread(0, 0, MPI_THREAD_FUNNELED, &provided))) return FAILED;
  if (failed(MPI_Comm_dup(MPI_COMM_WORLD, &everyone))) return FAILED;
  MPI_Comm_set_errhandler(everyone, MPI_ERRORS_RETURN);
  if (failed(MPI_Comm_rank(everyone, &rank)) || failed(MPI_Comm_size(everyone, &size))) return FAILED;
  sizes = calloc(size, sizeof *sizes);
  offsets = calloc(size, sizeof *offsets);
  return sizes && offsets ? 0 : NO_MEMORY;
}

EXPORT int32_t spikeroute_mpi_rank(void) { return rank; }
EXPORT int32_t spikeroute_mpi_size(void) { return size; }
/* Number of processes on this machine. */
EXPORT int32_t spikeroute_mpi_neighbours(void) {
  MPI_Comm here;
  int count;
  if (failed(MPI_Comm_split_type(everyone, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &here))) return FAILED;
  const int code = MPI_Comm_size(here, &count);
  MPI_Comm_free(&here);
  return failed(code) ? FAILED : count;
}

EXPORT int32_t spikeroute_mpi_finish(void) { return MPI_Finalize(); }
EXPORT void spikeroute_mpi_abort(int32_t code) { MPI_Abort(MPI_COMM_WORLD, code); }

/* The implementation and its version, as text of at most `room` bytes. */
EXPORT int32_t spikeroute_mpi_version(uint8_t *out, int32_t room) {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(text, &length);
  if (length > room) length = room;
  memcpy(out, text, length);
  return length;
}

/* The message of the last failure. */
EXPORT int32_t spikeroute_mpi_failure(uint8_t *out, int32_t room) {
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(failure, text, &length);
  if (length > room) length = room;
  memcpy(out, text, length);
  return length;
}

/* Offset of a rank's slice within a row. */
static int sliceStart(int length, int r) {
  const int each = (length + size - 1) / size;
  return (int64_t)each * r < length ? each * r : length;
}

/* Allocates `count` rows of `length` numbers. Returns a handle or an error code. */
EXPORT int32_t spikeroute_mpi_open(double length, int32_t count) {
  int at = 0;
  while (at < MAX_SUMS && sums[at].rows) at++;
  if (at == MAX_SUMS || length < 0 || count < 1 || length * count > INT_MAX) return NO_MEMORY;
  Sum *sum = &sums[at];
  sum->length = (int)length;
  sum->count = count;
  const int own = sliceStart(sum->length, rank + 1) - sliceStart(sum->length, rank);
  sum->rows = calloc((size_t)count * sum->length + 1, sizeof(float));
  sum->received = malloc(((size_t)own * size * count + 1) * sizeof(float));
  sum->counts = malloc(4 * (size_t)size * sizeof(int));
  if (!sum->rows || !sum->received || !sum->counts) {
    free(sum->rows), free(sum->received), free(sum->counts);
    sum->rows = 0;
    return NO_MEMORY;
  }
  sum->places = sum->counts + size;
  sum->receivedCounts = sum->places + size;
  sum->receivedPlaces = sum->receivedCounts + size;
  for (int r = 0; r < size; r++) {
    sum->places[r] = sliceStart(sum->length, r);
    sum->counts[r] = sliceStart(sum->length, r + 1) - sum->places[r];
    sum->receivedCounts[r] = own;
    sum->receivedPlaces[r] = own * count * r;
  }
  return at;
}

EXPORT void *spikeroute_mpi_rows(int32_t sum) { return sums[sum].rows; }

EXPORT void spikeroute_mpi_close(int32_t sum) {
  free(sums[sum].rows), free(sums[sum].received), free(sums[sum].counts);
  memset(&sums[sum], 0, sizeof(Sum));
}

static int begin(Phase next, int count) {
  phase = next;
  pending = 0;
  free(requests);
  requests = malloc(count * sizeof *requests);
  return requests ? 0 : NO_MEMORY;
}

/* Starts a sum: every rank receives its slice of all rows of all ranks. */
EXPORT int32_t spikeroute_mpi_sum(int32_t number) {
  Sum *sum = current = &sums[number];
  if (begin(SCATTERING, sum->count)) return NO_MEMORY;
  for (int row = 0; row < sum->count; row++) {
    float *from = sum->rows + (size_t)row * sum->length, *to = sum->received + (size_t)row * sum->receivedCounts[0];
    if (failed(MPI_Ialltoallv(from, sum->counts, sum->places, MPI_FLOAT, to, sum->receivedCounts, sum->receivedPlaces,
                              MPI_FLOAT, everyone, &requests[pending++])))
      return FAILED;
  }
  return 0;
}

/* Adds the rows to 0 in order of rank, then row: the order in which a program adds its micro-batches. */
static void addUp(Sum *sum) {
  const int own = sum->receivedCounts[0], rows = sum->count * size;
  float *out = sum->rows + sum->places[rank];
  for (int from = 0; from < own; from += BLOCK) {
    const int to = from + BLOCK < own ? from + BLOCK : own;
    for (int i = from; i < to; i++) out[i] = 0.0f + sum->received[i];
    for (int row = 1; row < rows; row++) {
      const float *next = sum->received + (size_t)row * own;
      for (int i = from; i < to; i++) out[i] += next[i];
    }
  }
}

/* Starts a gather of the bytes of each rank to all ranks. */
EXPORT int32_t spikeroute_mpi_gather(const uint8_t *bytes, double count) {
  if (count > INT_MAX || begin(MEASURING, 1)) return NO_MEMORY;
  givenBytes = (int)count;
  free(given);
  given = malloc((size_t)givenBytes + 1);
  if (!given) return NO_MEMORY;
  memcpy(given, bytes, givenBytes);
  return failed(MPI_Iallgather(&givenBytes, 1, MPI_INT, sizes, 1, MPI_INT, everyone, &requests[pending++])) ? FAILED : 0;
}

EXPORT void *spikeroute_mpi_gathered(void) { return gathered; }
EXPORT int32_t spikeroute_mpi_gathered_from(int32_t r) { return sizes[r]; }

static int startGathering(void) {
  int64_t total = 0;
  for (int r = 0; r < size; r++) {
    offsets[r] = (int)total;
    total += sizes[r];
    if (total > INT_MAX) return NO_MEMORY;
  }
  free(gathered);
  gathered = malloc((size_t)total + 1);
  if (!gathered || begin(GATHERING, 1)) return NO_MEMORY;
  return failed(MPI_Iallgatherv(given, givenBytes, MPI_BYTE, gathered, sizes, offsets, MPI_BYTE, everyone,
                                &requests[pending++]))
             ? FAILED
             : PENDING;
}

/* Starts the next phase once all messages of the current one have arrived. */
static int next(void) {
  if (phase == SCATTERING) {
    addUp(current);
    if (begin(COLLECTING, 1)) return NO_MEMORY;
    return failed(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, current->rows, current->counts, current->places,
                                  MPI_FLOAT, everyone, &requests[pending++]))
               ? FAILED
               : PENDING;
  }
  if (phase == MEASURING) return startGathering();
  phase = IDLE;
  return DONE;
}

/* Seconds of polling without pauses, and the pause between polls after that: there may be more processes than processors. */
static const double eager = 2e-4;
static const struct timespec between = {0, 50000};

/* Advances the operation for at most `seconds`. Returns whether it is done, or an error code. */
EXPORT int32_t spikeroute_mpi_progress(double seconds) {
  const double from = MPI_Wtime(), until = from + seconds;
  do {
    int arrived = 0;
    if (failed(MPI_Testall(pending, requests, &arrived, MPI_STATUSES_IGNORE))) return FAILED;
    if (arrived) {
      const int state = next();
      if (state != PENDING) return state;
    } else if (MPI_Wtime() > from + eager)
      nanosleep(&between, 0);
  } while (MPI_Wtime() < until);
  return PENDING;
}
