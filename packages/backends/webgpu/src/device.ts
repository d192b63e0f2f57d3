/// <reference types="@webgpu/types" />
/** A GPU device with a pipeline cache, an account of its memory, and its pending errors. */
import { Options } from "@spikeroute/core"
import { type AdapterInfo, anAdapter } from "./gpu.ts"

/** A failure on the GPU; the message is for people. */
export class GpuFailure extends Error {}

export interface Device {
  readonly gpu: GPUDevice
  readonly info: AdapterInfo
  /** The bind group layout of every pipeline: arena, record of places, scratch memory, tables. */
  readonly layout: GPUBindGroupLayout
  /** The pipeline of a shader, cached by source. Rejects with a {@link GpuFailure} if the shader is invalid. */
  readonly pipeline: (source: string) => Promise<GPUComputePipeline>
  /** Allocates zeroed memory. Rejects with a {@link GpuFailure} if there is not enough. */
  readonly allocate: (bytes: number, usage: GPUBufferUsageFlags) => Promise<GPUBuffer>
  readonly free: (buffer: GPUBuffer) => void
  /** Bytes currently allocated. */
  readonly allocatedBytes: () => number
  /** Throws a {@link GpuFailure} if the device was lost or an error occurred since the last check. */
  readonly check: () => void
  readonly close: () => void
}

/** Limits that are raised from WebGPU's defaults to the adapter's maximum. */
const wanted = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
] as const satisfies ReadonlyArray<keyof GPUSupportedLimits>

/** Opens a device with the adapter's own limits, and with subgroups if `info` says so. The caller closes it. */
export const openDevice = async (adapter: GPUAdapter, info: AdapterInfo): Promise<Device> => {
  Options.argument(adapter, anAdapter, "openDevice")
  Options.argument(info, Options.anObject, "openDevice", "info")
  const requiredLimits = Object.fromEntries(wanted.map((name) => [name, adapter.limits[name]]))
  const requiredFeatures: Array<GPUFeatureName> = info.subgroups ? ["subgroups" as GPUFeatureName] : []
  return makeDevice(await adapter.requestDevice({ requiredLimits, requiredFeatures }), info)
}

/** Wraps a WebGPU device. */
const makeDevice = (gpu: GPUDevice, info: AdapterInfo): Device => {
  const pipelines = new Map<string, Promise<GPUComputePipeline>>()
  const sizes = new Map<GPUBuffer, number>()
  let failure: string | undefined
  let lost: string | undefined
  gpu.lost.then(({ reason, message }) => {
    lost = `the GPU was lost${message ? ` (${message.split("\n")[0]})` : ` (${reason})`}; what was saved goes on on another device or backend`
  })
  gpu.addEventListener("uncapturederror", (event) => {
    failure ??= event.error.message
  })

  const layout = gpu.createBindGroupLayout({
    entries: [
      { binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: "storage" } },
      { binding: 1, visibility: GPUShaderStage.COMPUTE, buffer: { type: "uniform", hasDynamicOffset: true } },
      { binding: 2, visibility: GPUShaderStage.COMPUTE, buffer: { type: "storage" } },
      { binding: 3, visibility: GPUShaderStage.COMPUTE, buffer: { type: "read-only-storage" } },
    ],
  })
  const pipelineLayout = gpu.createPipelineLayout({ bindGroupLayouts: [layout] })

  const compile = async (source: string): Promise<GPUComputePipeline> => {
    gpu.pushErrorScope("validation")
    const module = gpu.createShaderModule({ code: source })
    const invalid = gpu.popErrorScope()
    const made = gpu.createComputePipelineAsync({ layout: pipelineLayout, compute: { module, entryPoint: "main" } })
    // Awaited only after the error scope, whose message is more precise.
    made.catch(() => {})
    const error = await invalid
    if (error) throw new GpuFailure(error.message)
    try {
      return await made
    } catch (cause) {
      throw new GpuFailure(lost ?? (cause instanceof Error ? cause.message : String(cause)))
    }
  }

  return {
    gpu,
    info,
    layout,
    pipeline: (source) => {
      const known = pipelines.get(source)
      if (known) return known
      const made = compile(source)
      pipelines.set(source, made)
      made.catch(() => pipelines.delete(source))
      return made
    },
    allocate: async (bytes, usage) => {
      gpu.pushErrorScope("out-of-memory")
      gpu.pushErrorScope("validation")
      const buffer = gpu.createBuffer({ size: bytes, usage })
      const errors = await Promise.all([gpu.popErrorScope(), gpu.popErrorScope()])
      const error = errors.find((each) => each !== null)
      if (error) {
        buffer.destroy()
        throw new GpuFailure(`the GPU has no ${bytes.toLocaleString("en")} bytes of memory: ${error.message}`)
      }
      sizes.set(buffer, bytes)
      return buffer
    },
    free: (buffer) => {
      sizes.delete(buffer)
      buffer.destroy()
    },
    allocatedBytes: () => [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0),
    check: () => {
      if (lost !== undefined) throw new GpuFailure(lost)
      const found = failure
      failure = undefined
      if (found !== undefined) throw new GpuFailure(found)
    },
    close: () => gpu.destroy(),
  }
}
