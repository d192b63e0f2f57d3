import { expect, test } from "bun:test"
import { totalmem } from "node:os"
import {
  Backend,
  conv2d,
  defaultLoss,
  flatten,
  Graph,
  Key,
  lif,
  linear,
  Optimizer,
  Policy,
  Program,
} from "@spikeroute/core"
import { Effect } from "effect"
import { layer } from "../src/index.ts"
import { unavailable } from "./configurations.ts"
import { moveBuffers } from "./moved.ts"

const program = Effect.runSync(
  Program.compile(
    Graph.makeUnsafe(
      [9, 9, 2],
      Graph.sequential(conv2d({ channels: 5, kernelSize: 3 }), lif(), flatten(), linear({ features: 3 })),
    ),
    Policy.bptt,
    { batchSize: 4, timeSteps: 3, loss: defaultLoss, optimizer: Optimizer.adam(), encoding: "frames" },
  ),
)

/** Trains one step and returns all lasting buffers. */
const trained = (moved: Program.Program) =>
  Effect.gen(function* () {
    const executable = yield* (yield* Backend).prepare(moved)
    for (const { name, kind, elements } of program.buffers)
      if (kind === "parameter" || kind === "input" || name === Program.bufferNames.hyperparameters) {
        expect(elements).toBe("float32")
        yield* executable.write(name, (out) => Key.uniform(Key.fold(Key.make(0), name), out))
      }
    const frames = Key.uniform(Key.make(1), new Float32Array(3 * 4 * 162))
    yield* executable.run(Program.schedule(program, [0, 1, 2]), frames)
    const lasting = program.buffers.filter(({ kind }) => !["scratch", "residual", "accumulator"].includes(kind))
    const left = yield* Effect.forEach(lasting, ({ name, slots }) =>
      Effect.forEach([...Array(slots).keys()], (t) =>
        Effect.map(executable.read(name, t), (values) => ({ name, t, words: [...new Uint32Array(values.buffer)] })),
      ),
    )
    return { left, allocated: executable.allocatedBytes() }
  }).pipe(Effect.scoped, Effect.provide(layer({ threads: 2 })), Effect.result, Effect.runPromise)

if (unavailable === undefined)
  // Pages below 4 GiB are never touched, so they take no physical memory.
  for (const [where, bytes] of [
    ["beyond", 2 ** 32],
    ["on both sides of", 2 ** 32 - 64 * Math.floor(program.arenaBytes / 128)],
  ] as const)
    test(`a program ${where} 4 GiB is bit-identical; a machine with less memory refuses it`, async () => {
      const expected = await trained(program)
      const found = await trained(moveBuffers(program, bytes))
      const needed = bytes + program.arenaBytes
      if (totalmem() < needed) {
        expect(found).toMatchObject({ failure: { _tag: "BackendError", memory: { needed } } })
        return
      }
      if (expected._tag === "Failure" || found._tag === "Failure") throw [expected, found]
      expect(found.success.allocated).toBe(expected.success.allocated + bytes)
      expect(found.success.left).toEqual(expected.success.left)
      const gradient = expected.success.left.flat().find(({ name }) => name.startsWith("gradient/"))
      expect(gradient?.words.some((word) => word !== 0)).toBe(true)
    })
