/**
 * Kernels that run in JavaScript, in the engine's own memory where it can be reached: one pass over memory takes less time
 * than the many passes of a composition, though each of those has SIMD and threads.
 */
import { type AnyKernel, type KernelName, kernels } from "@spikeroute/core"

/** Does what core's kernel of the same name does. */
export type HostKernel = AnyKernel["run"]

const reference = (name: KernelName): HostKernel => (kernels.get(name) as AnyKernel).run

/** Kernels that every engine runs in JavaScript: what draws random numbers must draw core's. */
export const everywhere: Readonly<Partial<Record<KernelName, HostKernel>>> = {
  "dropout.mask": reference("dropout.mask"),
}

/** Kernels that engines with reachable memory run in JavaScript. */
export const inMemory: Readonly<Partial<Record<KernelName, HostKernel>>> = {
  "maxPool.backward": reference("maxPool.backward"),
  "averagePool.backward": reference("averagePool.backward"),
}
