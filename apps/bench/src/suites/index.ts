/** The suites that `bun run bench` runs, in this order: a file and a line here for each. */
import type { Suite } from "../method/suite.ts"
import { gpuSuite } from "./gpu.ts"
import { infer } from "./infer.ts"
import { kernels } from "./kernels.ts"
import { memory } from "./memory.ts"
import { onm } from "./onm.ts"
import { peers } from "./peers.ts"
import { scale } from "./scale.ts"
import { startup } from "./startup.ts"
import { step } from "./step.ts"
import { train } from "./train.ts"

/** Their seconds sum up to 25 minutes: a test holds them to it. */
export const suites: ReadonlyArray<Suite> = [kernels, step, peers, memory, scale, train, infer, onm, startup, gpuSuite]
