/** The suites of `bun run bench`, in order. */
import type { Suite } from "../method/suite.ts"
import { gpuSuite } from "./gpu.ts"
import { infer } from "./infer.ts"
import { kernels } from "./kernels.ts"
import { memory } from "./memory.ts"
import { openNeuromorphic } from "./open-neuromorphic.ts"
import { peers } from "./peers.ts"
import { scale } from "./scale.ts"
import { startup } from "./startup.ts"
import { step } from "./step.ts"
import { train } from "./train.ts"

/** Their `seconds` add up to at most 25 minutes, which a test checks. */
export const suites: ReadonlyArray<Suite> = [
  kernels,
  step,
  peers,
  memory,
  scale,
  train,
  infer,
  openNeuromorphic,
  startup,
  gpuSuite,
]
