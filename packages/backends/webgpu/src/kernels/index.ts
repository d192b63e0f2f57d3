/** The table of kernels: a name of core, and what makes its stages. */
import type { KernelName } from "@spikeroute/core"
import type { WgslKernel } from "../shader.ts"
import { elementwise } from "./elementwise.ts"
import { maps } from "./maps.ts"
import { neurons } from "./neurons.ts"
import { normalization } from "./normalization.ts"
import { pooling } from "./pooling.ts"
import { training } from "./training.ts"

const all: Readonly<Record<KernelName, WgslKernel>> = {
  ...maps,
  ...pooling,
  ...normalization,
  ...elementwise,
  ...neurons,
  ...training,
}

/** Every kernel by name. */
export const wgslKernels: ReadonlyMap<string, WgslKernel> = new Map(Object.entries(all))
