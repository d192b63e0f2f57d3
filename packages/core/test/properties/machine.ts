/**
 * Two machines that run programs, for holding a program's plan to what it promises.
 *
 * `arena` lays every buffer where the program says, in one arena full of NaN, spikes packed in bits. `separate` gives every slot
 * of every buffer memory of its own, and makes it NaN again whenever the program has no right to find it there later: scratch of
 * one segment, after that segment. A program whose buffers overlap while both are needed, or that reads what nothing wrote, gives
 * different bits on the two, or NaN.
 */
import { Effect, Layer } from "effect"
import {
  asArray,
  Backend,
  BackendError,
  type Executable,
  Program,
  type Ref,
  referenceKernels,
  Shape,
  Spikes,
} from "../../src/index.ts"

/** Memory of one slot of a buffer. */
interface Slot {
  readonly shape: ReadonlyArray<number>
  readonly load: () => Float32Array
  readonly store: (values: Float32Array) => void
}

const initially = ({ kind }: Program.Buffer): number => (kind === "optimizer" ? 0 : Number.NaN)

const separateSlot = (buffer: Program.Buffer): Slot => {
  const data = new Float32Array(Shape.size(buffer.shape)).fill(initially(buffer))
  return {
    shape: buffer.shape,
    load: () => data,
    store: (values) => {
      if (buffer.elements === "spikes" && !values.every((value) => value === 0 || value === 1))
        throw new Error(
          `${buffer.name} holds spikes, but ${values.find((value) => value !== 0 && value !== 1)} was stored`,
        )
      if (values !== data) data.set(values)
    },
  }
}

const arenaSlot = (buffer: Program.Buffer, arena: ArrayBuffer, slot: number): Slot => {
  const { shape, elements, name } = buffer
  const offset = buffer.offset + slot * buffer.stride
  if (offset + Spikes.byteLength(shape, elements) > arena.byteLength) throw new Error(`${name} lies outside the arena`)
  const words = new Uint32Array(arena, offset, Spikes.byteLength(shape, elements) / 4)
  if (elements === "spikes")
    return {
      shape,
      load: () => {
        const values = new Float32Array(Shape.size(shape))
        Spikes.unpack(words, shape.at(-1) ?? 1, values)
        return values
      },
      store: (values) => Spikes.pack(values, shape.at(-1) ?? 1, words),
    }
  const data = new Float32Array(arena, offset, words.length).fill(initially(buffer))
  return {
    shape,
    load: () => data,
    store: (values) => {
      if (values !== data) data.set(values)
    },
  }
}

/** Scratch that one segment alone uses: nothing may find it there after the segment. */
const transient = ({ buffers, segments }: Program.Program): ReadonlyMap<string, ReadonlyArray<number>> => {
  const users = buffers.map(() => new Set<string>())
  for (const [name, instructions] of Object.entries(segments))
    for (const { operands } of instructions) for (const { buffer } of Object.values(operands)) users[buffer]!.add(name)
  const found = Map.groupBy(
    buffers.map((_, i) => i).filter((i) => buffers[i]!.kind === "scratch" && users[i]!.size === 1),
    (i) => [...users[i]!][0]!,
  )
  return found
}

const prepare = (program: Program.Program, memory: "arena" | "separate"): Executable => {
  const arena = new ArrayBuffer(memory === "arena" ? program.arenaBytes : 0)
  const slots = program.buffers.map((buffer) =>
    Array.from({ length: buffer.slots }, (_, slot) =>
      memory === "arena" ? arenaSlot(buffer, arena, slot) : separateSlot(buffer),
    ),
  )
  const forgotten = memory === "separate" ? transient(program) : new Map<string, ReadonlyArray<number>>()
  const at = (ref: Ref, t: number): Slot =>
    slots[ref.buffer]![Program.slotOf(program.buffers[ref.buffer]!, ref, t)] as Slot
  const find = (name: string, t = 0): Slot => {
    const buffer = program.buffers.findIndex((each) => each.name === name)
    if (buffer < 0) throw new Error(`there is no buffer ${name}`)
    return at({ buffer }, t)
  }

  const execute = ({ kernel: name, operands, attributes }: Program.Instruction, t: number): void => {
    const kernel = referenceKernels.get(name)!
    const bound = Object.entries(operands).map(([operand, ref]) => {
      const access = String(kernel.operands[operand])
      const slot = at(ref, t)
      const data = slot.load()
      if (access.startsWith("gradient") && !ref.accumulate) data.fill(0)
      return { operand, access, slot, value: { shape: slot.shape, data } }
    })
    kernel.run(Object.fromEntries(bound.map(({ operand, value }) => [operand, value])), attributes)
    for (const { access, slot, value } of bound) if (!access.startsWith("read")) slot.store(value.data)
  }

  const attempt = <A>(body: () => A) =>
    Effect.try({ try: body, catch: (error) => new BackendError({ backend: memory, reason: String(error) }) })

  return {
    program,
    allocatedBytes: () => arena.byteLength,
    write: (name, given, t) =>
      attempt(() => {
        const { load, store } = find(name, t)
        const values = asArray(program.buffers.find((each) => each.name === name)!, given, load)
        if (!(values instanceof Uint32Array)) return store(values)
        const words = load()
        new Uint32Array(words.buffer, words.byteOffset, words.length).set(values)
      }),
    read: (name, t) => attempt(() => find(name, t).load().slice()),
    gradientsAreFinite: attempt(() =>
      program.buffers.every(({ kind, name }) => kind !== "gradient" || find(name, 0).load().every(Number.isFinite)),
    ),
    run: (calls, frames) =>
      attempt(() => {
        for (const { segment, t } of calls) {
          if (frames && Program.forwardSegments.has(segment)) {
            const { shape, store } = find(Program.bufferNames.input, t)
            store(frames.subarray(t * Shape.size(shape), (t + 1) * Shape.size(shape)))
          }
          for (const instruction of program.segments[segment]) execute(instruction, t)
          for (const buffer of forgotten.get(segment) ?? [])
            for (const slot of slots[buffer]!) slot.load().fill(Number.NaN)
        }
      }),
  }
}

/** A machine as a backend. */
export const machine = (memory: "arena" | "separate" = "arena"): Layer.Layer<Backend> =>
  Layer.succeed(
    Backend,
    Backend.of({
      name: memory,
      description: "runs the kernels' own definitions",
      prepare: (program) => Effect.sync(() => prepare(program, memory)),
    }),
  )
