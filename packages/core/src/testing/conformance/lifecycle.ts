/** Memory, runs and errors: allocation and release, and determinism. */
import { Effect } from "effect"
import { Backend, type Executable } from "../../backend/backend.ts"
import { BackendError, type NonFiniteTensorError, type ProgramError, UnsupportedKernelError } from "../../errors.ts"
import type { Graph } from "../../graph/graph.ts"
import { makeUnsafe, sequential } from "../../graph/index.ts"
import { batchNorm, leakyReadout, lif, linear } from "../../layers.ts"
import * as Optimizer from "../../optimizers/index.ts"
import * as Policy from "../../policies/policy.ts"
import { compile } from "../../program/compile.ts"
import type { TrainingOptions } from "../../program/options.ts"
import type { Program } from "../../program/program.ts"
import { schedule } from "../../program/schedule.ts"
import * as Key from "../../random.ts"
import { size } from "../../shape.ts"
import { NonFiniteLossError } from "../../train/errors.ts"
import { type LoadError, makePredictor } from "../../train/predictor.ts"
import { make as makeTrainer, type StepError } from "../../train/trainer.ts"
import { bufferCases } from "./buffers.ts"
import { type ConformanceError, ensure, expectEqual, fail } from "./compare.ts"
import { gradientCases } from "./gradients.ts"
import { graph, kept, options, prepared, refuses } from "./prepared.ts"
import { feed, run, type Workload, workload } from "./workload.ts"

/** How the suite measures a backend's memory. */
export interface Lifecycle {
  /** The memory that a program allocates: exactly the planned arena (`planned`, the default), or the backend's own scheme (`own`). */
  readonly memory?: "planned" | "own"
  /** The backend's own count of what it holds now (bytes, tensors, handles), which must return to its initial value. */
  readonly resources?: Effect.Effect<number, never, Backend>
}

/** All state that outlives a batch. */
const snapshot = (executable: Executable) =>
  Effect.forEach(
    executable.program.buffers.filter(({ kind }) => kept.has(kind)),
    ({ name }) => Effect.map(executable.read(name), (values) => [name, values] as const),
  )

const train = (executable: Executable, batches: Workload["batches"]) =>
  Effect.forEach(batches, (batch, n) =>
    Effect.andThen(feed(executable, batch, n + 1), run(executable, schedule(executable.program, batch.trained), batch)),
  )

const expectSame = (
  what: string,
  expected: Effect.Success<ReturnType<typeof snapshot>>,
  found: Effect.Success<ReturnType<typeof snapshot>>,
) => Effect.forEach(expected, ([name, values], i) => expectEqual(`${name} ${what}`, values, found[i]![1]))

const leaks = ({ resources = Effect.succeed(0) }: Lifecycle) =>
  Effect.gen(function* () {
    const once = Effect.scoped(
      Effect.gen(function* () {
        const { executable, data } = yield* prepared()
        yield* train(executable, data.batches)
        return executable.allocatedBytes()
      }),
    )
    const first = yield* once
    const before = yield* resources
    for (let i = 0; i < 5; i++) {
      const bytes = yield* once
      yield* ensure(bytes === first, `scope ${i + 2} takes ${bytes} bytes, the first took ${first}`)
    }
    const after = yield* resources
    yield* ensure(after === before, `five scopes later the backend holds ${after} instead of ${before}`)
  })

const leaksOnFailure = ({ resources = Effect.succeed(0) }: Lifecycle) =>
  Effect.gen(function* () {
    const once = Effect.scoped(
      Effect.gen(function* () {
        const { executable, data } = yield* prepared()
        yield* train(executable, data.batches)
        return yield* executable.read("no such buffer")
      }),
    )
    yield* refuses("reading no such buffer", once)
    const before = yield* resources
    for (let i = 0; i < 3; i++) yield* Effect.result(once)
    const after = yield* resources
    yield* ensure(after === before, `three failed scopes later the backend holds ${after} instead of ${before}`)
  })

const growth = ({ resources = Effect.succeed(0) }: Lifecycle) =>
  Effect.gen(function* () {
    const { executable, data } = yield* prepared(Policy.slttK(2), {}, 8)
    yield* train(executable, data.batches.slice(0, 2))
    const bytes = executable.allocatedBytes()
    const held = yield* resources
    yield* train(executable, data.batches.slice(2))
    yield* ensure(
      executable.allocatedBytes() === bytes,
      `memory grows from ${bytes} to ${executable.allocatedBytes()} bytes over six batches`,
    )
    const now = yield* resources
    yield* ensure(now === held, `six batches later the backend holds ${now} instead of ${held}`)
  })

const peak = ({ memory = "planned" }: Lifecycle) =>
  Effect.gen(function* () {
    for (const policy of [Policy.bptt, Policy.tbptt(2), Policy.sltt, Policy.slttK(1)]) {
      const { executable, program, data } = yield* prepared(policy)
      yield* train(executable, data.batches)
      const bytes = executable.allocatedBytes()
      yield* memory === "planned"
        ? ensure(bytes === program.arenaBytes, `${policy.name} takes ${bytes} bytes, not ${program.arenaBytes}`)
        : ensure(bytes > 0 && Number.isInteger(bytes), `${policy.name} takes ${bytes} bytes`)
    }
  })

const deterministic = Effect.gen(function* () {
  const once = Effect.scoped(
    Effect.gen(function* () {
      const { executable, data } = yield* prepared()
      yield* train(executable, data.batches)
      return yield* snapshot(executable)
    }),
  )
  yield* expectSame("of a second run", yield* once, yield* once)
})

/** Two programs do not affect each other, however their runs interleave. */
const separate = Effect.gen(function* () {
  const alone = yield* Effect.scoped(
    Effect.gen(function* () {
      const { executable, data } = yield* prepared()
      yield* train(executable, data.batches)
      return yield* snapshot(executable)
    }),
  )
  const a = yield* prepared()
  const b = yield* prepared(Policy.sltt, { optimizer: Optimizer.sgd() })
  for (const [n, batch] of a.data.batches.entries()) {
    yield* feed(a.executable, batch, n + 1)
    yield* feed(b.executable, batch, n + 1)
    const calls = [schedule(a.program, batch.trained), schedule(b.program, batch.trained)] as const
    for (let i = 0; i < Math.max(calls[0].length, calls[1].length); i++) {
      if (calls[0][i]) yield* run(a.executable, [calls[0][i]!], batch)
      if (calls[1][i]) yield* run(b.executable, [calls[1][i]!], batch)
    }
  }
  yield* expectSame("beside another program", alone, yield* snapshot(a.executable))
})

/** Only parameters, statistics and optimiser states are carried from batch to batch. */
const forgets = Effect.gen(function* () {
  const { executable, data } = yield* prepared()
  const other = yield* prepared()
  yield* train(executable, data.batches.slice(0, 1))
  for (const { name, kind } of executable.program.buffers)
    if (kind === "parameter" || kind === "statistic" || kind === "optimizer")
      yield* other.executable.write(name, yield* executable.read(name))
  yield* train(executable, data.batches.slice(1))
  yield* train(other.executable, data.batches.slice(1))
  yield* expectSame("depends on the batch before", yield* snapshot(other.executable), yield* snapshot(executable))
})

const resumes = Effect.gen(function* () {
  const trainerOptions = { ...options, key: Key.make(3) }
  const { batches } = yield* workload(graph, yield* compile(graph, Policy.slttK(2), options), Policy.slttK(2), 1, 4)
  const steps = (trainer: Effect.Success<ReturnType<typeof makeTrainer>>, from: number, to: number) =>
    Effect.forEach(batches.slice(from, to), (batch, i) =>
      trainer.step(batch, { update: 1 + from + i, learningRate: 0.01 }),
    )
  const whole = yield* makeTrainer(graph, Policy.slttK(2), trainerOptions)
  const results = yield* steps(whole, 0, 4)
  const first = yield* makeTrainer(graph, Policy.slttK(2), trainerOptions)
  yield* steps(first, 0, 2)
  const second = yield* makeTrainer(graph, Policy.slttK(2), trainerOptions)
  yield* second.load(yield* first.save)
  const resumed = yield* steps(second, 2, 4)
  for (const [i, { loss, outputs }] of resumed.entries()) {
    yield* ensure(loss === results[2 + i]!.loss, `the loss of update ${3 + i} is ${loss}, not ${results[2 + i]!.loss}`)
    yield* expectEqual(`outputs of update ${3 + i}`, results[2 + i]!.outputs, outputs)
  }
  yield* expectSame(
    "of the run that was resumed",
    yield* snapshot(whole.executable),
    yield* snapshot(second.executable),
  )
})

/** Fibers that share a trainer and a predictor get the results of sequential execution. */
const shares = Effect.gen(function* () {
  const { batches } = yield* workload(graph, yield* compile(graph, Policy.bptt, options), Policy.bptt, 1, 4)
  const once = (concurrency: 1 | "unbounded") =>
    Effect.scoped(
      Effect.gen(function* () {
        const trainer = yield* makeTrainer(graph, Policy.bptt, { ...options, key: Key.make(3) })
        const { batchSize, timeSteps } = options
        const predictor = yield* makePredictor(graph, { batchSize, timeSteps, encoding: "frames" })
        yield* predictor.load(yield* trainer.save)
        const effects = batches.flatMap((batch, i) => [
          Effect.map(trainer.step(batch, { update: 1 + i, learningRate: 0.01 }), ({ outputs }) => outputs),
          Effect.map(predictor.predict(batch.inputs), ({ outputs }) => outputs),
        ])
        return [yield* Effect.all(effects, { concurrency }), yield* snapshot(trainer.executable)] as const
      }),
    )
  const [expected, after] = yield* once(1)
  const [found, state] = yield* once("unbounded")
  for (const [i, outputs] of expected.entries()) yield* expectEqual(`outputs of call ${i}`, outputs, found[i]!)
  yield* expectSame("of fibers that share a trainer", after, state)
})

/** Announcing the next batch changes no bit, whether it follows or not. */
const takesBatchesAhead = (graph: Graph, changed: Partial<TrainingOptions>) =>
  Effect.gen(function* () {
    const made = { ...options, ...changed, key: Key.make(5) }
    const program = yield* compile(graph, Policy.bptt, made)
    const { batches } = yield* workload(graph, program, Policy.bptt, 2, 4)
    const plain = yield* makeTrainer(graph, Policy.bptt, made)
    const ahead = yield* makeTrainer(graph, Policy.bptt, made)
    for (const [i, batch] of batches.entries()) {
      const at = { update: 1 + i, learningRate: 0.01 }
      // The third step announces the first batch; the fourth batch follows.
      const next = i === 2 ? batches[0] : batches[i + 1]
      const expected = yield* plain.step(batch, at)
      const result = yield* ahead.step(batch, { ...at, next })
      yield* ensure(
        result.loss === expected.loss,
        `the loss of update ${1 + i} is ${result.loss}, not ${expected.loss}`,
      )
      yield* expectEqual(`outputs of update ${1 + i}`, expected.outputs, result.outputs)
    }
    yield* expectSame("uploaded ahead", yield* snapshot(plain.executable), yield* snapshot(ahead.executable))
  })

/**
 * 512 GB, of which the first buffer alone exceeds every backend: rejected in `prepare`, with both sizes, and nothing stays
 * allocated.
 */
const tooMuchMemory = ({ resources = Effect.succeed(0) }: Lifecycle) =>
  Effect.gen(function* () {
    const network = makeUnsafe([1], linear({ features: 4e8 }))
    const program = yield* compile(network, Policy.sltt, { ...options, batchSize: 100 })
    const backend = yield* Backend
    const before = yield* resources
    const result = yield* Effect.result(backend.prepare(program))
    if (result._tag === "Success") return yield* fail("a program of 512 GB is prepared")
    const { failure } = result
    yield* ensure(
      failure instanceof BackendError &&
        failure.memory !== undefined &&
        failure.memory.needed > failure.memory.available,
      `it fails with ${failure}, not with a BackendError that has the bytes that are needed and available`,
    )
    const after = yield* resources
    yield* ensure(after === before, `after a refused program the backend holds ${after} instead of ${before}`)
  })

const unknownKernel = Effect.gen(function* () {
  const program = yield* compile(graph, Policy.sltt, options)
  const update = program.segments.update.map((instruction, i) =>
    i === 0 ? { ...instruction, kernel: "none.such" } : instruction,
  )
  const changed: Program = { ...program, segments: { ...program.segments, update } }
  const backend = yield* Backend
  const result = yield* Effect.result(backend.prepare(changed))
  if (result._tag === "Success") return yield* fail("a program with a kernel that nobody knows is prepared")
  yield* ensure(
    result.failure instanceof UnsupportedKernelError &&
      result.failure.backend === backend.name &&
      result.failure.kernels.join() === "none.such",
    `it fails with ${result.failure}, not with an UnsupportedKernelError of kernel none.such`,
  )
})

/**
 * Fails unless a step with these values in the first weights, in all other weights or in the data is rejected as non-finite in
 * `layer`, and changes nothing.
 */
const diverges = (what: "loss" | "gradient", layer: string, first: number, weight: number, input: number) =>
  Effect.gen(function* () {
    const made = { ...options, loss: { mix: 0, target: "ones" }, encoding: "static", key: Key.make(4) } as const
    const trainer = yield* makeTrainer(normalized, Policy.sltt, made)
    const parameters = trainer.program.buffers.filter(({ kind }) => kind === "parameter")
    for (const [i, { name, shape }] of parameters.entries())
      yield* trainer.executable.write(
        name,
        new Float32Array(size(shape)).map((_, j) => (i === 0 ? first : weight) / (1 + (j % 2))),
      )
    const lasting = ["parameter", "statistic", "optimizer"]
    const state = Effect.map(snapshot(trainer.executable), (all) =>
      all.filter(([name]) => trainer.program.buffers.some((each) => each.name === name && lasting.includes(each.kind))),
    )
    const before = yield* state
    const batch = { inputs: new Float32Array(8).fill(input, 4), labels: Float32Array.of(0, 1) }
    for (const run of [
      trainer.step(batch, { update: 7, learningRate: 1 }),
      trainer.differentiate(batch, { update: 7 }),
    ]) {
      const result = yield* Effect.result(run)
      if (result._tag === "Success") return yield* fail(`the loss is ${result.success.loss}; it must be refused`)
      const { failure } = result
      yield* ensure(
        failure instanceof NonFiniteLossError &&
          failure.update === 7 &&
          failure.what === what &&
          failure.layer === layer,
        `it fails with ${failure}, not with a NonFiniteLossError of update 7, the ${what} and ${layer}`,
      )
      yield* expectSame("of a refused step", before, yield* state)
    }
    for (const { name } of parameters) yield* trainer.executable.write(name, (out) => out.fill(0.1))
    yield* trainer.step({ ...batch, inputs: new Float32Array(8).fill(1) }, { update: 7, learningRate: 0.1 })
    yield* trainer.save
  })

const spiking = makeUnsafe(
  [4],
  sequential(linear({ features: 5, bias: false }), lif(), linear({ features: 3 }), leakyReadout()),
)
const normalized = makeUnsafe(
  [4],
  sequential(
    linear({ features: 5, bias: false }),
    lif({ surrogate: { name: "atan", alpha: 2 } }),
    linear({ features: 3, bias: false }),
    batchNorm(),
  ),
)

/** Errors of a case. */
export type Failure =
  | ConformanceError
  | ProgramError
  | UnsupportedKernelError
  | StepError
  | LoadError
  | NonFiniteTensorError

export const lifecycleCases = (own: Lifecycle) =>
  [
    { name: "memory: closing the scope releases the program's memory", run: leaks(own) },
    { name: "memory: a failing scope releases it too", run: leaksOnFailure(own) },
    { name: "memory: further batches allocate no more", run: growth(own) },
    { name: "memory: a program allocates what was planned", run: peak(own) },
    ...bufferCases,
    ...gradientCases,
    { name: "runs: deterministic", run: deterministic },
    { name: "runs: two programs do not affect each other", run: separate },
    { name: "runs: a batch does not depend on the previous one", run: forgets },
    { name: "runs: stopped and resumed, bit-identical", run: resumes },
    { name: "runs: fibers that share a trainer and a predictor are serialised", run: shares },
    { name: "runs: with the next batch announced, static", run: takesBatchesAhead(graph, { encoding: "static" }) },
    { name: "runs: with the next batch announced, frames", run: takesBatchesAhead(graph, { encoding: "frames" }) },
    {
      name: "runs: with the next batch announced, micro-batches",
      run: takesBatchesAhead(spiking, { microBatches: 2 }),
    },
    { name: "errors: an unknown kernel, in prepare", run: unknownKernel },
    { name: "errors: insufficient memory, in prepare", run: tooMuchMemory(own) },
    {
      name: "errors: an overflowing membrane is rejected as a non-finite loss",
      run: diverges("loss", "1", 3e38, 1e38, 1),
    },
    {
      name: "errors: an overflowing gradient is rejected even if the loss is finite",
      run: diverges("gradient", "0.weight", 1e-11, 1e17, 1e10),
    },
  ].map(({ name, run }) => ({ name, run: Effect.scoped(run) }))
