/* The table of kernels for one vector width. */
#include "lif.h"
#include "pooling.h"
#include "session.h"

#define SCRATCH_own(name) NAME(scratch_##name)
#define SCRATCH_none(name) 0
#define KEPT_own(name) NAME(kept_##name)
#define KEPT_none(name) 0

#define ROW(name, core_name, operands, attributes, scratch, kept) \
  KERNEL(name);                                                   \
  CHECK(name);                                                    \
  SCRATCH(name);                                                  \
  KEPT(name);
#include "kernels.def"
#undef ROW

static const Kernel kernels[] = {
#define ROW(name, core_name, operands, attributes, scratch, kept) \
  {operands, attributes, NAME(check_##name), SCRATCH_##scratch(name), KEPT_##kept(name), NAME(kernel_##name)},
#include "kernels.def"
#undef ROW
};

const Kernels NAME(kernels) = {kernels, lif_rows, are_finite, VECTOR_BYTES};
