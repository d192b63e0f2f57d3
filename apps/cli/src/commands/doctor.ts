/** `doctor`: reports the capabilities of this machine and runtime, and which backends work. */

import { availableParallelism, cpus, totalmem } from "node:os"
import * as Gpu from "@spikeroute/backend-webgpu/gpu"
import { Backend, defaultLoss, Graph, Key, Models, Optimizer, Policy, Program, Train } from "@spikeroute/core"
import { line } from "@spikeroute/core/text"
import { Cause, Effect, Option } from "effect"
import { backendLayer, backendNames } from "../backends.ts"
import { print } from "../terminal.ts"

/** The smallest WebAssembly module that uses a 128-bit vector: `v128.const 0; drop`. */
const simdModule = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 23, 1, 21, 0, 253, 12],
  ...new Array(16).fill(0),
  ...[26, 11],
)

/** The description of the GPU adapter, or the reason why there is none. */
const gpu: Effect.Effect<Gpu.AdapterInfo | { readonly missing: string }> = Gpu.findAdapter.pipe(
  Effect.map(Gpu.info),
  Effect.catch(({ message }) => Effect.succeed({ missing: message })),
)

const describeGpu = (found: Effect.Success<typeof gpu>): ReadonlyArray<string> => {
  if ("missing" in found) return [`WebGPU               no: ${found.missing}`]
  const { limits, features, subgroupSizes } = found
  const has = (feature: string) => (features.includes(feature) ? "yes" : "no")
  const threads = subgroupSizes && ` of ${[...new Set(subgroupSizes)].join(" to ")} threads`
  return [
    `WebGPU               ${Gpu.format(found)}`,
    `  buffers            of ${Program.formatBytes(limits.maxBufferSize)}, bound by ${Program.formatBytes(limits.maxStorageBufferBindingSize)}, ${limits.maxStorageBuffersPerShaderStage} at once`,
    `  workgroups         of ${limits.maxComputeInvocationsPerWorkgroup} threads with ${Program.formatBytes(limits.maxComputeWorkgroupStorageSize)}, ${limits.maxComputeWorkgroupsPerDimension} on a side`,
    `  features           16-bit floats ${has("shader-f16")}, subgroups ${has("subgroups")}${threads ?? ""}, timestamps ${has("timestamp-query")}`,
  ]
}

/** Trains a small network for one batch. Returns the backend's description of itself, or the reason why it failed. */
const tryBackend = (name: string) =>
  Effect.gen(function* () {
    const graph = yield* Graph.make([8, 8, 1], Models.models.conv(3))
    const trainer = yield* Train.make(graph, Policy.bptt, {
      batchSize: 2,
      timeSteps: 2,
      loss: defaultLoss,
      optimizer: Optimizer.adam(),
      key: Key.make(0),
    })
    const batch = { inputs: new Float32Array(2 * 64).fill(1), labels: Float32Array.of(0, 2) }
    yield* trainer.step(batch, { update: 1, learningRate: 1e-3 })
    return { name, works: true, detail: (yield* Backend).description }
  }).pipe(
    Effect.scoped,
    Effect.provide(backendLayer(name)),
    Effect.catchCause((cause) => {
      const error = Option.getOrUndefined(Cause.findErrorOption(cause))
      return Effect.succeed({
        name,
        works: false,
        detail: line(error instanceof Error ? error.message : Cause.pretty(cause)),
      })
    }),
  )

export const doctor = ({ json }: { readonly json: boolean }) =>
  Effect.gen(function* () {
    const bun = process.versions.bun
    const machine = {
      runtime: bun === undefined ? `Node ${process.versions.node}` : `Bun ${bun}`,
      system: `${process.platform} ${process.arch}`,
      processor: cpus()[0]?.model ?? "unknown",
      threads: availableParallelism(),
      memoryBytes: totalmem(),
      wasmSimd: WebAssembly.validate(simdModule),
      wasmThreads: typeof SharedArrayBuffer === "function",
      gpu: yield* gpu,
    }
    const backends = yield* Effect.forEach(backendNames, tryBackend)
    if (json) return yield* print(JSON.stringify({ ...machine, backends }, undefined, 2))
    const yesNo = (yes: boolean) => (yes ? "yes" : "no")
    yield* print(
      [
        `runtime              ${machine.runtime}, ${machine.system}`,
        `processor            ${machine.processor}, ${machine.threads} threads`,
        `memory               ${Program.formatBytes(machine.memoryBytes)}`,
        `WebAssembly SIMD     ${yesNo(machine.wasmSimd)}`,
        `WebAssembly threads  ${yesNo(machine.wasmThreads)}`,
        ...describeGpu(machine.gpu),
        "",
        ...backends.map(
          ({ name, works, detail }) => `${name.padEnd(20)} ${works ? "works" : "does not work"}: ${detail}`,
        ),
      ].join("\n"),
    )
  })
