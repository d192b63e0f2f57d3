import { expect, test } from "bun:test"
import { defaultLoss, Graph, Models, Optimizer, Policy, Program } from "@spikeroute/core"
import { Effect } from "effect"
import { makeCommands } from "../src/commands.ts"

const graph = Graph.makeUnsafe([28, 28, 1], Models.models.conv(10, {}))
/** WebGPU's guaranteed limits, roughly. */
const limits = {
  maxBufferSize: 2 ** 28,
  maxStorageBufferBindingSize: 2 ** 27,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 2 ** 14,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupsPerDimension: 65535,
}
const options = { batchSize: 64, timeSteps: 4, loss: defaultLoss, optimizer: Optimizer.adam() } as const

// TensorFlow.js's WebGPU backend needs 502 dispatches for this iteration.
test.each([true, false])(
  "a training iteration of conv takes at most 50 dispatches (software adapter: %p)",
  async (software) => {
    const program = await Effect.runPromise(Program.compile(graph, Policy.sltt, options))
    const { segments, arenaBytes } = makeCommands(program, { software, subgroups: true, limits }, 256)
    const calls = Program.schedule(program, Program.representativeSteps(program))
    expect(calls.reduce((sum, { segment }) => sum + segments[segment].length, 0)).toBeLessThanOrEqual(50)
    // Stages that share a dispatch must not share memory.
    expect(arenaBytes).toBeLessThanOrEqual(1.03 * program.arenaBytes)
  },
)

test.each([Policy.sltt, Policy.bptt])("$name: buffers of concurrent stages do not overlap", async (policy) => {
  const program = await Effect.runPromise(Program.compile(graph, policy, options))
  const { segments, buffers } = makeCommands(program, { software: true, subgroups: true, limits }, 256)
  for (const { placed } of Object.values(segments).flat()) {
    const used = new Set(placed.flatMap(({ instruction }) => instruction.refs.map(({ buffer }) => buffer)))
    const places = [...used]
      .map((i) => buffers[i] as Program.Buffer)
      .map((buffer) => ({ name: buffer.name, from: buffer.offset, to: buffer.offset + Program.bufferBytes(buffer) }))
      .sort((a, b) => a.from - b.from)
    for (const [i, { name, to }] of places.entries())
      expect({ name, ends: to <= (places[i + 1]?.from ?? to) }).toEqual({ name, ends: true })
  }
})
