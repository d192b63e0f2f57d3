/** TensorFlow.js on WebGPU. */
import { findAdapter, format, info } from "@spikeroute/backend-webgpu/gpu"
import { Effect } from "effect"
import { Engine, type EngineOptions } from "./engine.ts"

/** Limits that are raised to the adapter's maximum. */
const limits = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
  "maxComputeWorkgroupSizeX",
  "maxComputeInvocationsPerWorkgroup",
] as const satisfies ReadonlyArray<keyof GPUSupportedLimits>

/** Runs `body` with `navigator.gpu` defined: TensorFlow.js only checks its presence, and Dawn does not define it. */
const whereSupported = <A>(body: () => A): A => {
  if ("gpu" in navigator) return body()
  Object.defineProperty(navigator, "gpu", { value: {}, configurable: true })
  try {
    return body()
  } finally {
    Reflect.deleteProperty(navigator, "gpu")
  }
}

export const loadGpu = async (): Promise<Engine> => {
  const adapter = await Effect.runPromise(findAdapter)
  const core = await import("@tensorflow/tfjs-core")
  const { WebGPUBackend } = await import("@tensorflow/tfjs-backend-webgpu")
  const device = await adapter.requestDevice({
    requiredLimits: Object.fromEntries(limits.map((name) => [name, adapter.limits[name]])),
  })

  // Kernels run asynchronously and report their errors later.
  let fault: string | undefined
  device.addEventListener("uncapturederror", ({ error }) => {
    fault ??= error instanceof GPUOutOfMemoryError ? "the GPU is out of memory" : error.message.split("\n")[0]
  })
  device.lost.then(({ reason, message }) => {
    if (reason !== "destroyed") fault ??= `the GPU was lost: ${message}`
  })

  const backend = whereSupported(() => new WebGPUBackend(device, adapter.info))
  return new Engine({
    name: "tfjs-webgpu",
    registeredAs: "webgpu",
    description: `TensorFlow.js ${core.version_core}, ${format(info(adapter))}`,
    backend,
    holds: { tensor: Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize) },
    registry: core as unknown as EngineOptions["registry"],
    later: {
      fault: () => fault,
      close: () => device.destroy(),
    },
  })
}
