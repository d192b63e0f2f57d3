/** Core's Executable on an engine's session: reads and writes buffers in the arena, and passes calls to the kernels in batches. */
import {
  asArray,
  type BackendError,
  type BufferValues,
  type Executable,
  type Guard,
  guard,
  Program,
  Shape,
  Spikes,
  toBackendError,
  tooLarge,
} from "@spikeroute/core"
import { Effect, type Scope } from "effect"
import { encode } from "./encode.ts"
import type { Engine, Session } from "./engine.ts"
import { maximumElements, noMemory } from "./packed.ts"
import { describeRefusal } from "./refusals.ts"

const segmentNumber = new Map(Program.segmentNames.map((name, i) => [name, i]))

/** Prepares a program. Its memory is released with the scope. */
export const prepare = (
  engine: Engine,
  program: Program.Program,
): Effect.Effect<Executable, BackendError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({ try: () => open(engine, program), catch: toBackendError(engine.name) }),
    ({ close }) => Effect.sync(close),
  ).pipe(Effect.map(({ executable }) => executable))

/** An executable, and the function that releases its memory. */
interface Opened {
  readonly executable: Executable
  readonly close: () => void
}

const open = (engine: Engine, program: Program.Program): Opened => {
  const checks = guard(engine.name, program)
  const needed = program.arenaBytes
  if (needed > engine.availableBytes()) throw tooLarge(engine.name, needed, engine.availableBytes())
  for (const { name, shape } of program.buffers)
    if (Shape.size(shape) > maximumElements)
      throw checks.fail(
        `buffer ${name} has ${Shape.size(shape)} elements: the kernels count up to ${maximumElements}; use a smaller batch or micro-batches`,
      )
  const session = engine.open(encode(program))
  if (session === -noMemory) throw tooLarge(engine.name, needed, engine.availableBytes())
  if (typeof session === "number") throw checks.fail(describeRefusal(session))
  return make(checks, program, session)
}

const make = (checks: Guard, program: Program.Program, session: Session): Opened => {
  const { fail, attempt } = checks
  const bufferOf = (name: string) => program.buffers[checks.indexOf(name)] as Program.Buffer
  /** The words of a buffer's slot. */
  const wordsOf = (buffer: Program.Buffer, t: number): Uint32Array => {
    const offset = buffer.offset + Program.slotOf(buffer, {}, t) * buffer.stride
    return session.words(offset, Spikes.byteLength(buffer.shape, buffer.elements) / 4)
  }
  const floatsOf = (words: Uint32Array) => new Float32Array(words.buffer, words.byteOffset, words.length)

  /** Number of `write` callbacks that are running. Until they return, memory is kept even if they close the scope. */
  let writing = 0
  let closed = false
  const closeSession = () => {
    if (closed && writing === 0) session.close()
  }
  const valuesOf = (buffer: Program.Buffer, given: BufferValues, room: () => Float32Array) => {
    writing++
    try {
      return asArray(buffer, given, room)
    } finally {
      writing--
      closeSession()
    }
  }

  const write = (name: string, given: BufferValues, t: number): void => {
    const buffer = bufferOf(name)
    const size = Shape.size(buffer.shape)
    const inPlace = buffer.elements === "float32" && session.lends
    const values = valuesOf(buffer, given, () => (inPlace ? floatsOf(wordsOf(buffer, t)) : new Float32Array(size)))
    if (closed) return
    const words = wordsOf(buffer, t)
    const expected = values instanceof Uint32Array ? words.length : size
    if (values.length !== expected) throw fail(`${name} takes ${expected} values, not ${values.length}`)
    if (inPlace && typeof given === "function") return
    if (values instanceof Uint32Array) words.set(values)
    else if (buffer.elements === "spikes") Spikes.pack(values, buffer.shape.at(-1) ?? 1, words)
    else floatsOf(words).set(values)
  }

  const read = (name: string, t: number): Float32Array => {
    const buffer = program.buffers[checks.readable(name, t)] as Program.Buffer
    const words = wordsOf(buffer, t)
    if (buffer.elements !== "spikes") return floatsOf(words).slice()
    const values = new Float32Array(Shape.size(buffer.shape))
    Spikes.unpack(words, buffer.shape.at(-1) ?? 1, values)
    return values
  }

  const run = (calls: ReadonlyArray<Program.Call>, frames?: Float32Array): void => {
    checks.checkCalls(calls, frames)
    const stride = frames ? frames.length / program.timeSteps : 0
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

  const executable: Executable = {
    program,
    allocatedBytes: () => session.bytes,
    write: (name, values, t = 0) =>
      attempt(() => {
        checks.writable(name, t)
        write(name, values, t)
      }),
    read: (name, t = 0) => attempt(() => read(name, t)),
    run: (calls, frames) => attempt(() => run(calls, frames)),
    gradientsAreFinite: attempt(() =>
      program.buffers.every(({ kind }, i) => kind !== "gradient" || session.isFinite(i)),
    ),
  }
  return {
    executable,
    close: () => {
      checks.close()
      closed = true
      closeSession()
    },
  }
}
