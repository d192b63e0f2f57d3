/**
 * Kernels that run in JavaScript, on the engine's memory if it is accessible: one pass over memory is faster than the many passes of a
 * composition, even though those use SIMD and threads.
 */
import { type AnyReferenceKernel, type KernelName, referenceKernels } from "@spikeroute/core"
import { maxPoolBackward } from "./max-pool.ts"

/** Computes core's kernel of the same name. */
export type HostKernel = AnyReferenceKernel["run"]

const reference = (name: KernelName): HostKernel => (referenceKernels.get(name) as AnyReferenceKernel).run

/** Host kernels of all engines, on raw words: random numbers must be identical to core's. */
export const everywhere: Readonly<Partial<Record<KernelName, HostKernel>>> = {
  "dropout.mask": reference("dropout.mask"),
}

/** Host kernels of engines with accessible memory. */
export const inMemory: Readonly<Partial<Record<KernelName, HostKernel>>> = {
  "maxPool.backward": maxPoolBackward as unknown as HostKernel,
  // Small tensors, for which a composition would take many kernels.
  "loss.forward": reference("loss.forward"),
  "loss.backward": reference("loss.backward"),
}
