/**
 * Kernels that run in JavaScript, in the engine's own memory where it can be reached: one pass over memory takes less time
 * than the many passes of a composition, though each of those has SIMD and threads.
 */
import { type AnyReferenceKernel, type KernelName, referenceKernels } from "@spikeroute/core"
import { maxPoolBackward } from "./max-pool.ts"

/** Does what core's kernel of the same name does. */
export type HostKernel = AnyReferenceKernel["run"]

const reference = (name: KernelName): HostKernel => (referenceKernels.get(name) as AnyReferenceKernel).run

/** Kernels that every engine runs in JavaScript, on raw words: what draws random numbers must draw core's. */
export const everywhere: Readonly<Partial<Record<KernelName, HostKernel>>> = {
  "dropout.mask": reference("dropout.mask"),
}

/** Kernels that engines with reachable memory run in JavaScript. */
export const inMemory: Readonly<Partial<Record<KernelName, HostKernel>>> = {
  "maxPool.backward": maxPoolBackward as unknown as HostKernel,
  // Tiny, and a composition of many steps.
  "loss.forward": reference("loss.forward"),
  "loss.backward": reference("loss.backward"),
}
