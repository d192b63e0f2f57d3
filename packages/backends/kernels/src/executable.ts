/** Core's executable over a session of an engine: buffers are read and written in the arena, calls cross to the kernels packed. */
import { asArray, BackendError, type BufferValues, type Executable, Program, Shape, Spikes } from "@spikeroute/core"
import { firstNonFinite } from "@spikeroute/core/values"
import { Effect, type Scope } from "effect"
import { encode } from "./encode.ts"
import type { Engine, Session } from "./engine.ts"
import { describeRefusal } from "./refusals.ts"

const segmentNumber = new Map(Program.segmentNames.map((name, i) => [name, i]))

/** Prepares a program; its memory belongs to the scope. */
export const prepare = (
  engine: Engine,
  program: Program.Program,
): Effect.Effect<Executable, BackendError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const session = engine.open(encode(program))
      return typeof session === "number"
        ? Effect.fail(new BackendError({ backend: engine.name, reason: describeRefusal(session) }))
        : Effect.succeed(session)
    }),
    (session) => Effect.sync(session.close),
  ).pipe(Effect.map((session) => make(engine.name, program, session)))

const make = (backend: string, program: Program.Program, session: Session): Executable => {
  const fail = (reason: string) => new BackendError({ backend, reason })
  const byName = new Map(program.buffers.map((buffer, i) => [buffer.name, i]))

  const find = (name: string): Program.Buffer => {
    const index = byName.get(name)
    if (index === undefined) throw fail(`the program has no buffer ${name}`)
    return program.buffers[index] as Program.Buffer
  }
  /** The words of one slot of a buffer. */
  const wordsOf = (buffer: Program.Buffer, slot: number): Uint32Array => {
    const arena = session.arena()
    const offset = arena.byteOffset + buffer.offset + slot * buffer.stride
    return new Uint32Array(arena.buffer, offset, Spikes.byteLength(buffer.shape, buffer.elements) / 4)
  }
  const floatsOf = (words: Uint32Array) => new Float32Array(words.buffer, words.byteOffset, words.length)

  const write = (name: string, given: BufferValues, t: number): void => {
    const buffer = find(name)
    const words = wordsOf(buffer, Program.slotOf(buffer, {}, t))
    const size = Shape.size(buffer.shape)
    const values = asArray(given, () => (buffer.elements === "float32" ? floatsOf(words) : new Float32Array(size)))
    const expected = values instanceof Uint32Array ? words.length : size
    if (values.length !== expected) throw fail(`${name} takes ${expected} values, not ${values.length}`)
    if (values instanceof Uint32Array) words.set(values)
    else if (buffer.elements === "spikes") Spikes.pack(values, buffer.shape.at(-1) ?? 1, words)
    else floatsOf(words).set(values)
  }

  const read = (name: string, t: number): Float32Array => {
    const buffer = find(name)
    const words = wordsOf(buffer, Program.slotOf(buffer, {}, t))
    if (buffer.elements !== "spikes") return floatsOf(words).slice()
    const values = new Float32Array(Shape.size(buffer.shape))
    Spikes.unpack(words, buffer.shape.at(-1) ?? 1, values)
    return values
  }

  const run = (calls: ReadonlyArray<Program.Call>, frames?: Float32Array): void => {
    const stride = Shape.size(find(Program.bufferNames.input).shape)
    const expected = program.timeSteps * stride
    if (frames && frames.length !== expected) throw fail(`the frames are ${frames.length} values, not ${expected}`)
    let packed: Array<number> = []
    const flush = () => {
      const refusal = packed.length > 0 ? session.run(Int32Array.from(packed)) : 0
      if (refusal !== 0) throw fail(describeRefusal(refusal))
      packed = []
    }
    for (const { segment, t } of calls) {
      if (frames && Program.forwardSegments.has(segment)) {
        flush()
        write(Program.bufferNames.input, frames.subarray(t * stride, (t + 1) * stride), t)
      }
      packed.push(segmentNumber.get(segment) ?? -1, t)
    }
    flush()
  }

  const attempt = <A>(body: () => A): Effect.Effect<A, BackendError> =>
    Effect.try({ try: body, catch: (error) => (error instanceof BackendError ? error : fail(String(error))) })

  return {
    program,
    allocatedBytes: () => session.bytes,
    write: (name, values) => attempt(() => write(name, values, 0)),
    read: (name, t = 0) => attempt(() => read(name, t)),
    run: (calls, frames) => attempt(() => run(calls, frames)),
    gradientsAreFinite: attempt(() =>
      program.buffers.every((buffer) => buffer.kind !== "gradient" || firstNonFinite(floatsOf(wordsOf(buffer, 0))) < 0),
    ),
  }
}
