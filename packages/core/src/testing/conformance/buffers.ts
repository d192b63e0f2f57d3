/** Buffers: what may be written and is read again, and what is refused. */
import { Effect } from "effect"
import * as Policy from "../../policies/policy.ts"
import { bufferNames, schedule } from "../../program/program.ts"
import * as Key from "../../random.ts"
import { size } from "../../shape.ts"
import { ensure, expectClose, expectEqual } from "./compare.ts"
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
    // What was written is a copy.
    values.fill(Number.NaN)
  }
  for (const { name, shape } of written) {
    const values = yield* executable.read(name)
    yield* expectEqual(name, valuesOf(name, size(shape)), values)
    // What was read is one too.
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

/** A buffer of several slots gives the one of the step that is asked for. */
const ring = Effect.gen(function* () {
  const neurons = graph.nodes.filter(({ op }) => op === "neuron").map(({ name }) => name)
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
  { name: "buffers: what is written is read again", run: roundTrip },
  { name: "buffers: a new program's optimiser starts at zero", run: fresh },
  { name: "buffers: wrong sizes and names are refused and change nothing", run: wrongSizes },
  { name: "buffers: every kept time step can be read", run: ring },
]
