/// <reference types="@webgpu/types" />
/** A GPU's peak rates: independent multiply-adds, and a copy of a large buffer, each timed until a read-back. */
import { Effect } from "effect"

export interface GpuCeilings {
  /** FLOP/s; a multiply-add counts as two. */
  readonly flops: number
  /** Bytes per second, reads and writes together. */
  readonly bytes: number
}

const chains = 8
const rounds = 256

const multiplyAdd = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> made: array<vec4f>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let factor = source[0];
  let term = source[1];
  ${Array.from({ length: chains }, (_, i) => `var x${i} = vec4f(f32(id.x) + ${i}.0);`).join("\n  ")}
  for (var i = 0u; i < ${rounds}u; i++) {
    ${Array.from({ length: chains }, (_, i) => `x${i} = fma(x${i}, factor, term);`).join("\n    ")}
  }
  made[id.x % arrayLength(&made)] = ${Array.from({ length: chains }, (_, i) => `x${i}`).join(" + ")};
}`

const copy = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> made: array<vec4f>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&source); i += groups.x * 64u) { made[i] = source[i]; }
}`

/** Minimum seconds of a measurement. */
const least = 0.2

const measure = async (device: GPUDevice, megabytes: number): Promise<GpuCeilings> => {
  const size = megabytes * 2 ** 20
  const storage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC
  const [source, made] = [device.createBuffer({ size, usage: storage }), device.createBuffer({ size, usage: storage })]
  const readable = device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST })

  const prepare = (code: string) => {
    const pipeline = device.createComputePipeline({
      layout: "auto",
      compute: { module: device.createShaderModule({ code }), entryPoint: "main" },
    })
    const bindings = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [source, made].map((buffer, binding) => ({ binding, resource: { buffer } })),
    })
    return async (groups: number, times: number): Promise<number> => {
      const start = performance.now()
      const encoder = device.createCommandEncoder()
      const pass = encoder.beginComputePass()
      pass.setPipeline(pipeline)
      pass.setBindGroup(0, bindings)
      for (let i = 0; i < times; i++) pass.dispatchWorkgroups(groups)
      pass.end()
      encoder.copyBufferToBuffer(made, 0, readable, 0, 16)
      device.queue.submit([encoder.finish()])
      await readable.mapAsync(GPUMapMode.READ)
      readable.unmap()
      return (performance.now() - start) / 1000
    }
  }
  /** The best rate; `work` is the work of one dispatch. */
  const rate = async (code: string, groups: number, work: number): Promise<number> => {
    const run = prepare(code)
    let [times, best] = [1, 0]
    await run(groups, 1)
    for (;;) {
      const seconds = await run(groups, times)
      best = Math.max(best, (work * times) / seconds)
      if (seconds >= least) break
      times = Math.ceil(times * Math.min(8, (1.5 * least) / seconds))
    }
    for (let i = 0; i < 2; i++) best = Math.max(best, (work * times) / (await run(groups, times)))
    return best
  }
  const groups = 4096
  // Invalid commands do nothing in no time: detect them.
  device.pushErrorScope("validation")
  const ceilings = {
    flops: await rate(multiplyAdd, groups, groups * 64 * rounds * chains * 4 * 2),
    bytes: await rate(copy, groups, 2 * size),
  }
  const error = await device.popErrorScope()
  if (error !== null) throw new Error(`the peak cannot be measured: ${error.message}`)
  return ceilings
}

/** Measures the peaks; takes a second or two. Two buffers of `megabytes` each must exceed the GPU's caches. */
export const gpuCeilings = (adapter: GPUAdapter, megabytes: number): Effect.Effect<GpuCeilings> =>
  Effect.acquireUseRelease(
    Effect.promise(() => adapter.requestDevice()),
    (device) => Effect.promise(() => measure(device, megabytes)),
    (device) => Effect.sync(() => device.destroy()),
  )
