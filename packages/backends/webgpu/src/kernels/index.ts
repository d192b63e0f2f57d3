/** The kernel table: core's kernel names and their WGSL stages. */
import type { Program } from "@spikeroute/core"
import type { WgslKernel, WgslKernels } from "../shader.ts"
import { elementwise } from "./elementwise.ts"
import { eligibility } from "./eligibility.ts"
import { expressions } from "./expressions.ts"
import { maps } from "./maps.ts"
import { normalization } from "./normalization.ts"
import { pooling } from "./pooling.ts"
import { rearrange } from "./rearrange.ts"
import { training } from "./training.ts"

const all: WgslKernels = {
  ...maps,
  ...eligibility,
  ...pooling,
  ...rearrange,
  ...normalization,
  ...elementwise,
  ...expressions,
  ...training,
}

/** All kernels by name, typed for instructions of any kernel. */
export const wgslKernels = new Map(Object.entries(all)) as ReadonlyMap<
  string,
  WgslKernel<Program.Instruction["attributes"]>
>
