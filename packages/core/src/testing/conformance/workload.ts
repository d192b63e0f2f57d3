/** Workloads, and running them on the oracle and on a backend. */
import { Effect, Random } from "effect"
import type { Executable } from "../../backend/backend.ts"
import type { BackendError, PolicyError } from "../../errors.ts"
import type { Cell } from "../../expressions/cell.ts"
import { decode, encode, interpret, executable as runnable } from "../../expressions/code.ts"
import { type Expression, leaf, operandsOf, rewrite } from "../../expressions/expression.ts"
import type { Graph } from "../../graph/graph.ts"
import { draw, type Policy } from "../../policies/policy.ts"
import {
  type Buffer,
  type BufferKind,
  bufferNames,
  type Call,
  forwardSegments,
  microBatchSize,
  type Program,
} from "../../program/program.ts"
import { schedule } from "../../program/schedule.ts"
import { hyperparametersOf } from "../../program/weights.ts"
import * as Key from "../../random.ts"
import { size } from "../../shape.ts"
import { initialize } from "../../train/initialize.ts"
import { distancesOf } from "../arbitrary/near.ts"
import { type ConformanceError, deviation, expectClose } from "./compare.ts"

/** Data of several batches, in a program's layout. */
export interface Workload {
  readonly parameters: ReadonlyMap<string, Float32Array>
  readonly batches: ReadonlyArray<{
    readonly inputs: Float32Array
    readonly labels: Float32Array
    readonly key: Key.Key
    readonly trained: ReadonlyArray<number>
  }>
}

/** Runs an effect with the random numbers of a key. */
export const drawWith = <A, E, R>(key: Key.Key, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, Random.Random, Key.generator(key))

/** Weights and inputs, from a seed, that are large enough to make every layer fire. */
export const workload = (
  graph: Graph,
  { mode, batchSize, timeSteps, encoding }: Program,
  policy: Policy,
  seed: number,
  count: number,
): Effect.Effect<Workload, PolicyError> =>
  Effect.gen(function* () {
    const key = Key.fold(Key.make(seed), "workload")
    const parameters = new Map(
      [...initialize(graph, key)].map(([name, values]) => [
        name,
        values.length > 1 ? values.map((value, i) => 2.5 * value + (value > 0 ? 0.05 : 0.02 * (i % 3))) : values,
      ]),
    )
    const classes = size(graph.types.get(graph.output)?.shape ?? [])
    const samples = batchSize * (encoding === "frames" ? timeSteps : 1)
    const batches: Array<Workload["batches"][number]> = []
    for (let n = 0; n < count; n++) {
      const own = Key.fold(key, "batch", n)
      batches.push({
        inputs: Key.uniform(Key.fold(own, "inputs"), new Float32Array(samples * size(graph.input))).map(
          (u) => 2 * u - 0.5,
        ),
        labels: Key.uniform(Key.fold(own, "labels"), new Float32Array(batchSize)).map((u) => Math.floor(classes * u)),
        key: own,
        trained: mode === "inference" ? [] : yield* drawWith(Key.fold(own, "steps"), draw(policy, timeSteps)),
      })
    }
    return { parameters, batches }
  })

/** Writes the data of a batch. `update` counts from 1; `keyOf` returns the random key of a buffer. */
export const feed = (
  executable: Executable,
  { inputs, labels, key }: Workload["batches"][number],
  update: number,
  keyOf: (buffer: Buffer) => Key.Key = ({ name }) => Key.fold(key, name),
): Effect.Effect<void, BackendError> =>
  Effect.gen(function* () {
    const { program } = executable
    for (const buffer of program.buffers)
      if (buffer.role === "key") {
        const { hi, lo } = keyOf(buffer)
        yield* executable.write(buffer.name, Uint32Array.of(hi, lo))
      }
    for (const [name, values] of hyperparametersOf(program, 0.05, update)) yield* executable.write(name, values)
    if (program.mode === "training") yield* executable.write(bufferNames.labels, labels)
    if (program.encoding === "static") yield* executable.write(bufferNames.input, inputs)
  })

/** Writes the parameters of a program. */
export const writeParameters = (
  executable: Executable,
  parameters: Workload["parameters"],
): Effect.Effect<void, BackendError> =>
  Effect.gen(function* () {
    const known = new Set(executable.program.buffers.map(({ name }) => name))
    for (const [name, values] of parameters) {
      const buffer = bufferNames.parameter(name)
      if (known.has(buffer)) yield* executable.write(buffer, values)
    }
  })

/** Runs calls, with the frames of a batch if the program has frames. */
export const run = (
  executable: Executable,
  calls: ReadonlyArray<Call>,
  { inputs }: Workload["batches"][number],
): Effect.Effect<void, BackendError> =>
  executable.run(calls, executable.program.encoding === "frames" ? inputs : undefined)

/** Whether a call runs a step forward. */
export const stepsForward = ({ segment }: Call): boolean => forwardSegments.has(segment)

/** The distance of membrane potentials from the discontinuities of neurons that fire if u − ϑ ≥ 0. */
const jumpsOf = ({ code, output }: Cell): ((potentials: Float32Array) => number) => {
  const fires = decode(code)[output] as Expression
  const z = operandsOf(fires)[0] as Expression
  const u = operandsOf(z)[0]
  const distances = rewrite(distancesOf([fires]), (each) => (each === u ? leaf("u") : undefined))
  const jumps = encode(runnable(distances, false))
  return (potentials) => {
    let least = Number.POSITIVE_INFINITY
    interpret(
      jumps.code,
      jumps.places,
      potentials.length,
      (_, first, out) => out.set(potentials.subarray(first, first + out.length)),
      (_, __, values) => {
        least = Math.min(least, ...values.map(Math.abs))
      },
    )
    return least
  }
}

/**
 * Runs a batch call by call. Returns the smallest distance of a membrane from a discontinuity of its layer (the threshold, or the
 * ends of a rectangle): within rounding of it, two correct implementations differ by a whole spike.
 */
export const runWithMargin = (
  graph: Graph,
  executable: Executable,
  batch: Workload["batches"][number],
): Effect.Effect<number, BackendError> =>
  Effect.gen(function* () {
    const { program } = executable
    const neurons = graph.nodes
      .filter(({ name }) => program.neurons.includes(name))
      .map(({ name, attributes }) => ({ name, distances: jumpsOf(attributes as unknown as Cell) }))
    let least = Number.POSITIVE_INFINITY
    for (const call of schedule(program, batch.trained)) {
      yield* run(executable, [call], batch)
      if (!stepsForward(call)) continue
      for (const { name, distances } of neurons) {
        // A policy may store further values after the potential.
        const count = microBatchSize(program) * size(graph.types.get(name)?.shape ?? [])
        least = Math.min(least, distances((yield* executable.read(bufferNames.state(name), call.t)).subarray(0, count)))
      }
    }
    return least
  })

/** The results of training, by kinds of buffers that are compared on one scale. */
const compared: ReadonlyArray<readonly [what: string, kinds: ReadonlyArray<BufferKind>]> = [
  ["gradients", ["gradient"]],
  ["parameters", ["parameter"]],
  ["statistics", ["statistic"]],
  ["the optimiser's state", ["optimizer"]],
]

const read = (
  executable: Executable,
  names: ReadonlyArray<string>,
): Effect.Effect<ReadonlyArray<Float32Array>, BackendError> => Effect.forEach(names, (name) => executable.read(name))

const joined = (parts: ReadonlyArray<Float32Array>): Float32Array =>
  Float32Array.from(parts.flatMap((part) => [...part]))

/** Compares metrics, outputs, gradients, parameters, statistics and optimiser states with the oracle's. */
export const compare = (
  oracle: Executable,
  executable: Executable,
  tolerance: number,
): Effect.Effect<void, ConformanceError | BackendError> =>
  Effect.gen(function* () {
    const { buffers } = oracle.program
    for (const name of [bufferNames.metrics, bufferNames.outputs])
      yield* expectClose(name, yield* oracle.read(name), yield* executable.read(name), tolerance)
    for (const [what, kinds] of compared) {
      const names = buffers.filter(({ kind }) => kinds.includes(kind)).map(({ name }) => name)
      if (names.length === 0) continue
      const expected = yield* read(oracle, names)
      const found = yield* read(executable, names)
      const worst = names.reduce(
        (best, name, i) => {
          const own = deviation(expected[i]!, found[i]!)
          return own > best.own ? { name, own } : best
        },
        { name: names[0] as string, own: -1 },
      )
      yield* expectClose(`${what}, most of all ${worst.name},`, joined(expected), joined(found), tolerance)
    }
  })

/** Copies the oracle's parameters, statistics and optimiser states to the backend. */
export const align = (oracle: Executable, executable: Executable): Effect.Effect<void, BackendError> =>
  Effect.gen(function* () {
    for (const { name, kind } of oracle.program.buffers)
      if (kind === "parameter" || kind === "statistic" || kind === "optimizer")
        yield* executable.write(name, yield* oracle.read(name))
  })
