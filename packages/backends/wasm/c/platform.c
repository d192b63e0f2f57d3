/* WebAssembly has a single vector width. */
#include "session.h"

extern const Kernels kernels_only;

const Kernels *kernels_here(void) { return &kernels_only; }
