/* `parallel` for a single thread. */
#include "runtime.h"

void parallel(const Run *run, int32_t pieces, Piece piece, void *work) {
  (void)run;
  for (int32_t i = 0; i < pieces; i++) piece(work, i, 0);
}
