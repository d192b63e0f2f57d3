/** Inference from a program file, without the compiler. */
import { load } from "@spikeroute/backend-wasm/infer"

export const classOf = (kernels: WebAssembly.Module, file: Uint8Array, sample: Float32Array): number | undefined =>
  load(kernels, file).predict(sample, { margin: 4 }).classes[0]
