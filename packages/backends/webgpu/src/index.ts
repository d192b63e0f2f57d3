/** WebGPU: finding a GPU, see {@link Gpu}. */
export * as Gpu from "./gpu.ts"
