/** Buffers: valid reads and writes, and errors. */
import { Effect, Exit, Scope } from "effect"
import { spikingLayers } from "../../graph/nodes.ts"
import * as Policy from "../../policies/policy.ts"
import { bufferNames } from "../../program/program.ts"
import { schedule } from "../../program/schedule.ts"
import * as Key from "../../random.ts"
import { size } from "../../shape.ts"
import { ensure, expectClose, expectEqual, fail } from "./compare.ts"
import * as Oracle from "./oracle.ts"
import { graph, kept, prepared, refuses } from "./prepared.ts"
import { feed, run, writeParameters } from "./workload.ts"

const roundTrip = Effect.gen(function* () {
  const { executable, program } = yield* prepared()
  const written = program.buffers.filter(
    ({ kind, elements }) => (kept.has(kind) || kind === "input") && elements === "float32",
  )
  const valuesInto = (name: string, out: Float32Array) => Key.normal(Key.fold(Key.make(2), name), out)
  const valuesOf = (name: string, length: number) => valuesInto(name, new Float32Array(length))
  for (const { name, shape } of written) {
    const values = valuesOf(name, size(shape))
    yield* executable.write(name, values)
    // Writes copy the array.
    values.fill(Number.NaN)
  }
  for (const { name, shape } of written) {
    const values = yield* executable.read(name)
    yield* expectEqual(name, valuesOf(name, size(shape)), values)
    // Reads return a copy.
    values.fill(Number.NaN)
    yield* expectEqual(`${name}, read again,`, valuesOf(name, size(shape)), yield* executable.read(name))
  }
  const other = (name: string) => `other ${name}`
  for (const { name } of written) yield* executable.write(name, (out) => valuesInto(other(name), out))
  for (const { name, shape } of written)
    yield* expectEqual(
      `${name}, put in by a function,`,
      valuesOf(other(name), size(shape)),
      yield* executable.read(name),
    )
})

const fresh = Effect.gen(function* () {
  const { executable, program } = yield* prepared()
  for (const { name, kind, shape } of program.buffers)
    if (kind === "optimizer")
      yield* expectEqual(`${name} of a new program`, new Float32Array(size(shape)), yield* executable.read(name))
})

const wrongSizes = Effect.gen(function* () {
  const { executable, program, data } = yield* prepared()
  const { outputs, labels, hyperparameters, input } = bufferNames
  const [name] = [...data.parameters.keys()].map(bufferNames.parameter) as [string]
  const values = yield* executable.read(name)
  yield* refuses("writing one value too few", executable.write(name, values.subarray(1)))
  yield* refuses("writing one value too many", executable.write(name, new Float32Array(values.length + 1)))
  yield* refuses("writing no values", executable.write(hyperparameters, new Float32Array(0)))
  yield* refuses("writing one image too many", executable.write(input, new Float32Array(3 * size(graph.input))))
  yield* refuses("writing no such buffer", executable.write("parameter/none", values))
  yield* refuses(
    "filling no such buffer",
    executable.write("parameter/none", (out) => out.fill(0)),
  )
  yield* refuses(
    "filling a buffer later",
    executable.write(name, async (out) => void out.set(values)),
  )
  yield* refuses("reading no such buffer", executable.read("parameter/none"))
  yield* expectEqual(`${name} after refused writes`, values, yield* executable.read(name))
  const key = program.buffers.find(({ elements }) => elements === "words")?.name ?? ""
  yield* refuses("writing a key of one word", executable.write(key, Uint32Array.of(1)))
  const [batch] = data.batches
  const short = batch!.inputs.subarray(1)
  yield* refuses("running too few frames", executable.run(schedule(program, batch!.trained), short))
  yield* feed(executable, batch!, 1)
  yield* run(executable, schedule(program, batch!.trained), batch!)
  for (const buffer of [outputs, labels])
    yield* ensure(
      (yield* executable.read(buffer)).every(Number.isFinite),
      `${buffer} is not finite after refused writes and a run`,
    )
})

/** Invalid time steps, segments and frames. Nothing runs. */
const wrongCalls = Effect.gen(function* () {
  const { executable, program, data } = yield* prepared()
  const [batch] = data.batches
  const calls = schedule(program, batch!.trained)
  yield* feed(executable, batch!, 1)
  const name = bufferNames.parameter([...data.parameters.keys()][0] as string)
  const before = yield* executable.read(name)
  for (const t of [Number.NaN, -1, -0.5, 0.5, program.timeSteps, 2 ** 32, Number.POSITIVE_INFINITY, "1" as never]) {
    yield* refuses(`reading time step ${t}`, executable.read(bufferNames.outputs, t))
    yield* refuses(
      `running time step ${t}`,
      executable.run([...calls, { segment: "update", t }], batch!.inputs as Float32Array),
    )
  }
  for (const segment of ["none", "toString"] as const)
    yield* refuses(
      `running segment ${segment}`,
      executable.run([...calls, { segment: segment as never, t: 0 }], batch!.inputs as Float32Array),
    )
  for (const frames of [[...batch!.inputs], Float64Array.from(batch!.inputs), new Uint32Array(batch!.inputs.length)])
    yield* refuses("running frames that are no float32", executable.run(calls, frames as never))
  const numbers = [Float64Array, Uint32Array, Int32Array, Uint8Array].map((kind) => new kind(before.length).fill(1))
  for (const values of [undefined, null, [...before], ...numbers, "ones"])
    yield* refuses(`writing ${values?.constructor.name}`, executable.write(name, values as never))
  const key = program.buffers.find(({ elements }) => elements === "words")?.name ?? ""
  for (const words of [Float32Array.of(1, 2), Int32Array.of(1, 2), [1, 2], (out: Float32Array) => out.fill(1)])
    yield* refuses(`writing ${words.constructor.name} as words`, executable.write(key, words as never))
  yield* expectEqual(`${name} after refused runs`, before, yield* executable.read(name))
})

/** Buffers that share memory cannot be read; observed ones can. */
const shared = Effect.gen(function* () {
  const [first = ""] = graph.nodes.map(({ name }) => name)
  for (const policy of [Policy.bptt, Policy.sltt]) {
    const { executable, program, data } = yield* prepared(policy, { observe: [first] }, 1)
    const [batch] = data.batches
    yield* feed(executable, batch!, 1)
    yield* run(executable, schedule(program, batch!.trained), batch!)
    for (const { name, kind, elements } of program.buffers)
      if (kind === "scratch" || kind === "residual" || kind === "accumulator")
        yield* refuses(`reading ${name}, which is ${kind}`, executable.read(name))
      else if (elements !== "words") yield* executable.read(name)
    yield* executable.read(bufferNames.value(first), program.timeSteps - 1)
  }
})

/** A program in its own scope, and a function that closes the scope. */
const inOwnScope = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const { executable, program, data } = yield* prepared().pipe(Scope.provide(scope))
  return { executable, program, data, scope, close: Scope.close(scope, Exit.void) }
})

/** Reads and writes all elements of arrays obtained earlier, whatever has happened to their memory. */
const touch = (arrays: ReadonlyArray<Float32Array>) => {
  for (const array of arrays) for (let i = 0; i < array.length; i++) array[i] = (array[i] as number) + 1
}

const closed = Effect.gen(function* () {
  const { executable, program, data, close } = yield* inOwnScope
  const other = yield* prepared()
  const name = bufferNames.parameter([...data.parameters.keys()][0] as string)
  const arrays: Array<Float32Array> = []
  const keep = (out: Float32Array) => {
    out.fill(1)
    arrays.push(out)
  }
  yield* executable.write(name, keep)
  yield* executable.write(bufferNames.input, keep)
  yield* close
  const before = yield* other.executable.read(name)
  touch(arrays)
  const [batch] = data.batches
  yield* refuses("writing after the scope", executable.write(name, before))
  yield* refuses("filling after the scope", executable.write(name, keep))
  yield* refuses("reading after the scope", executable.read(name))
  yield* refuses("running after the scope", executable.run(schedule(program, batch!.trained), batch!.inputs))
  yield* refuses("asking for gradients after the scope", executable.gradientsAreFinite)
  if (executable.upload) yield* refuses("uploading after the scope", executable.upload(batch!.inputs))
  yield* ensure(arrays.length === 2, "a function runs that was given after the scope")
  yield* expectEqual(`${name} of another program`, before, yield* other.executable.read(name))
  yield* feed(other.executable, batch!, 1)
  yield* run(other.executable, schedule(program, batch!.trained), batch!)
})

const closedInside = Effect.gen(function* () {
  for (const elements of ["float32", "spikes"] as const) {
    const { executable, program, close } = yield* inOwnScope
    const buffer = program.buffers.find((each) => each.elements === elements && size(each.shape) > 0)
    if (buffer === undefined) return yield* fail(`the program has no buffer of ${elements}`)
    const arrays: Array<Float32Array> = []
    yield* refuses(
      `closing the scope in a write of ${buffer.name}`,
      executable.write(buffer.name, (out) => {
        Effect.runSync(close)
        out.fill(1)
        arrays.push(out)
      }),
    )
    touch(arrays)
    yield* refuses("reading after that", executable.read(buffer.name))
    yield* refuses(
      "writing after that",
      executable.write(buffer.name, (out) => out.fill(1)),
    )
  }
})

/** A buffer with several slots returns the one of the requested step. */
const ring = Effect.gen(function* () {
  const neurons = spikingLayers(graph).map(({ name }) => name)
  const { executable, program, data } = yield* prepared(Policy.bptt, { observe: [...neurons, graph.output] }, 1)
  const oracle = Oracle.make(program)
  yield* writeParameters(oracle, data.parameters)
  const [batch] = data.batches
  const calls = schedule(program, batch!.trained)
  const forward = calls.slice(
    0,
    calls.findIndex(({ segment }) => segment === "beginBackward"),
  )
  for (const each of [oracle, executable]) {
    yield* feed(each, batch!, 1)
    yield* run(each, forward, batch!)
  }
  for (const node of [...neurons, graph.output]) {
    const name = bufferNames.value(node)
    const slots = program.buffers.find((buffer) => buffer.name === name)?.slots ?? 0
    for (let t = program.timeSteps - slots; t < program.timeSteps; t++)
      yield* expectClose(`${name} at step ${t}`, yield* oracle.read(name, t), yield* executable.read(name, t), 1e-4)
  }
  yield* expectClose(
    "the last frame",
    yield* oracle.read(bufferNames.input, program.timeSteps - 1),
    yield* executable.read(bufferNames.input, program.timeSteps - 1),
    0,
  )
})

export const bufferCases = [
  { name: "buffers: written values are read back", run: roundTrip },
  { name: "buffers: optimiser states are initially 0", run: fresh },
  { name: "buffers: wrong sizes and names are rejected and change nothing", run: wrongSizes },
  { name: "buffers: invalid time steps, segments and arrays are rejected", run: wrongCalls },
  {
    name: "memory: after its scope has closed, a program rejects all calls, and arrays of its memory are harmless",
    run: closed,
  },
  { name: "memory: a write that closes the scope fails", run: closedInside },
  { name: "buffers: every stored time step can be read", run: ring },
  { name: "buffers: buffers that share memory cannot be read", run: shared },
]
