/** Training with several processes is bit-identical to training with one. */
import { describe, expect, test } from "bun:test"
import { layer } from "@spikeroute/backend-reference"
import * as S from "@spikeroute/core"
import { launchers, start } from "@spikeroute/test-support/mpi"
import { Effect } from "effect"
import { Communicator, local, makeTrainer, mpi } from "../src/index.ts"
import { networks, samplesOf, timeSteps } from "./networks.ts"
import { trainAll } from "./rank.ts"

const launch = async (...args: Parameters<typeof start>) => {
  const child = start(...args)
  const [code, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()])
  return { code, stdout, stderr }
}

const rank = `${import.meta.dir}/rank.ts`
const alone = Effect.runPromise(Effect.provide(trainAll, local))

describe.each([...launchers])("$name", (launcher) => {
  test.each([2, 4])(
    "%i processes are bit-identical to one: weights, optimiser, statistics, metrics",
    async (ranks) => {
      const { code, stdout, stderr } = await launch(launcher, ranks, [rank])
      expect({ code, stderr }).toMatchObject({ code: 0 })
      expect(stdout.trim().split("\n")).toEqual(Array.from({ length: ranks }, () => expect.stringMatching(/^\{/)))
      for (const line of stdout.trim().split("\n")) expect(line).toBe(await alone)
    },
    60_000,
  )

  test("all processes end if one is killed", async () => {
    const began = performance.now()
    const { code, stdout } = await launch(launcher, 2, [rank, "kill"])
    expect(code).not.toBe(0)
    expect(stdout).not.toContain("{")
    expect(performance.now() - began).toBeLessThan(30_000)
  }, 60_000)

  test.skipIf(launchers.length < 2)(
    "a launcher of a different MPI implementation than the compiler's is refused",
    async () => {
      const other = launchers.find(({ name }) => name !== launcher.name)
      const { code, stderr } = await launch({ ...launcher, compiler: other?.compiler ?? "" }, 2, [rank])
      expect(code).not.toBe(0)
      expect(stderr).toContain('kind: "launcher"')
    },
    60_000,
  )
})

test("one process with several micro-batches is bit-identical to the trainer of core", async () => {
  const train = (name: "static" | "frames", make: typeof makeTrainer | typeof S.Train.make) =>
    Effect.gen(function* () {
      const { graph, policy, batchSize, encoding } = networks[name]
      const trainer = yield* make(yield* graph, policy, {
        ...{ batchSize, timeSteps, encoding, microBatches: 4 },
        loss: S.defaultLoss,
        optimizer: S.Optimizer.sgd({ momentum: 0.9 }),
        key: S.Key.make(2),
      })
      const results = yield* Effect.forEach([1, 2], (update) =>
        trainer.step(samplesOf(name, update, 0, 1), { update, learningRate: 0.1 }),
      )
      return { results, tensors: yield* trainer.save }
    }).pipe(Effect.scoped, Effect.provide([layer, local]), Effect.runPromise)
  for (const name of ["static", "frames"] as const)
    expect(await train(name, makeTrainer)).toEqual(await train(name, S.Train.make))
})

test("a batch with a non-finite loss is refused after all its micro-batches have run, and changes nothing", () =>
  Effect.gen(function* () {
    const { graph, policy, batchSize } = networks.normalized
    const trainer = yield* makeTrainer(yield* graph, policy, {
      ...{
        batchSize,
        timeSteps,
        microBatches: 4,
        loss: S.defaultLoss,
        optimizer: S.Optimizer.adam(),
        key: S.Key.make(2),
      },
    })
    const before = yield* trainer.save
    const { inputs, labels } = samplesOf("normalized", 1, 0, 1)
    const huge = inputs.map((x, i) => (i < 36 ? 3e38 : x))
    const error = yield* Effect.flip(
      trainer.step({ inputs: huge, ...(labels && { labels }) }, { update: 1, learningRate: 1 }),
    )
    expect(error._tag).toBe("NonFiniteLossError")
    expect(yield* trainer.save).toEqual(before)
    const after = yield* trainer.step(samplesOf("normalized", 1, 0, 1), { update: 1, learningRate: 1 })
    expect(after.loss).toBeGreaterThan(0)
  }).pipe(Effect.scoped, Effect.provide([layer, local]), Effect.runPromise))

test("options that cannot be distributed are refused by name", async () => {
  const { graph, policy } = networks.static
  const refused = (changes: object) =>
    Effect.gen(function* () {
      const given = { batchSize: 8, timeSteps, loss: S.defaultLoss, optimizer: S.Optimizer.adam(), key: S.Key.make(2) }
      return yield* Effect.flip(makeTrainer(yield* graph, policy, { ...given, ...changes } as never))
    }).pipe(
      Effect.scoped,
      Effect.provide(layer),
      Effect.provideService(Communicator, { ...({} as Communicator["Service"]), rank: 0, size: 2 }),
      Effect.runPromise,
    )
  expect(await refused({ microBatches: 3 })).toMatchObject({ _tag: "OptionError", option: "microBatches" })
  expect(await refused({ microBatches: 0 })).toMatchObject({ _tag: "OptionError", option: "microBatches" })
  expect(await refused({ batchSize: 9 })).toMatchObject({ _tag: "OptionError", option: "batchSize" })
  expect(await refused({ loss: [] })).toMatchObject({ _tag: "OptionError", option: "loss" })
})

test("without MPI's compiler, the layer fails with kind 'compiler'", async () => {
  const before = process.env.MPICC
  process.env.MPICC = "no-such-compiler"
  const error = await Effect.runPromise(Effect.flip(Effect.provide(Effect.asVoid(Communicator), mpi)))
  process.env.MPICC = before ?? ""
  expect(error).toMatchObject({ _tag: "CommunicatorError", kind: "compiler" })
})

test.skipIf(launchers.length === 0)("a process without a launcher is refused", async () => {
  const [launcher] = launchers as [(typeof launchers)[number]]
  const { code, stderr } = await launch({ ...launcher, command: () => [] }, 1, [rank])
  expect(code).not.toBe(0)
  expect(stderr).toContain('kind: "launcher"')
})
