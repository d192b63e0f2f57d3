/**
 * The reference backend: runs each kernel's reference implementation in plain TypeScript.
 *
 * It is the oracle for all other backends and runs everywhere. It is slow: spikes are unpacked to numbers for every kernel that reads
 * them.
 */
import {
  type AnyReferenceKernel,
  asArray,
  Backend,
  type Executable,
  type Guard,
  guard,
  type Operand,
  Program,
  type Ref,
  referenceKernels,
  Shape,
  Spikes,
  toBackendError,
  tooLarge,
  UnsupportedKernelError,
} from "@spikeroute/core"
import { firstNonFinite } from "@spikeroute/core/values"
import { Effect, Layer } from "effect"

const name = "reference"

/** The largest ArrayBuffer of some runtimes; the arena is one ArrayBuffer. */
const maximumBytes = 2 ** 32

const make = (program: Program.Program, checks: Guard): Executable => {
  const { fail, attempt } = checks
  if (program.arenaBytes > maximumBytes) throw tooLarge(name, program.arenaBytes, maximumBytes)
  const arena = new ArrayBuffer(program.arenaBytes)
  const views = program.buffers.map((buffer) =>
    Array.from({ length: buffer.slots }, (_, slot) => view(arena, buffer, buffer.offset + slot * buffer.stride)),
  )
  const at = (ref: Ref, t: number): View => {
    const buffer = program.buffers[ref.buffer] as Program.Buffer
    return views[ref.buffer]![Program.slotOf(buffer, ref, t)] as View
  }
  const find = (bufferName: string, t: number): View => at({ buffer: checks.indexOf(bufferName) }, t)

  const execute = (instruction: Program.Instruction, t: number): void => {
    const kernel = referenceKernels.get(instruction.kernel) as AnyReferenceKernel
    const operands: Record<string, Operand> = {}
    const stores: Array<() => void> = []
    for (const [operand, ref] of Object.entries(instruction.operands)) {
      const access = kernel.operands[operand] as string
      const target = at(ref, t)
      if (access.startsWith("gradient") && !ref.accumulate) target.words.fill(0)
      const data = target.load()
      operands[operand] = { shape: target.shape, data }
      if (!access.startsWith("read")) stores.push(() => target.store(data))
    }
    kernel.run(operands, instruction.attributes)
    for (const store of stores) store()
  }

  const run = (calls: ReadonlyArray<Program.Call>, frames?: Float32Array): void => {
    checks.checkCalls(calls, frames)
    const stride = frames ? frames.length / program.timeSteps : 0
    for (const { segment, t } of calls) {
      if (frames && Program.forwardSegments.has(segment))
        find(Program.bufferNames.input, t).store(frames.subarray(t * stride, (t + 1) * stride))
      for (const instruction of program.segments[segment]) execute(instruction, t)
    }
  }

  return {
    program,
    allocatedBytes: () => arena.byteLength,
    write: (bufferName, given, t = 0) =>
      attempt(() => {
        const index = checks.writable(bufferName, t)
        const target = at({ buffer: index }, t)
        const values = asArray(program.buffers[index] as Program.Buffer, given, target.load)
        const expected = values instanceof Uint32Array ? target.words.length : Shape.size(target.shape)
        if (values.length !== expected) throw fail(`${bufferName} takes ${expected} values, not ${values.length}`)
        if (values instanceof Uint32Array) target.words.set(values)
        else target.store(values)
      }),
    read: (bufferName, t = 0) =>
      attempt(() => {
        return at({ buffer: checks.readable(bufferName, t) }, t)
          .load()
          .slice()
      }),
    run: (calls, frames) => attempt(() => run(calls, frames)),
    gradientsAreFinite: attempt(() =>
      program.buffers.every(({ kind }, i) => kind !== "gradient" || firstNonFinite(views[i]![0]!.load()) < 0),
    ),
  }
}

/** One slot of a buffer. `load` returns its numbers (a view if they are float32), `store` writes them back. */
interface View {
  readonly shape: ReadonlyArray<number>
  readonly words: Uint32Array
  readonly load: () => Float32Array
  readonly store: (values: Float32Array) => void
}

const view = (arena: ArrayBuffer, { shape, elements }: Program.Buffer, offset: number): View => {
  const words = new Uint32Array(arena, offset, Spikes.byteLength(shape, elements) / 4)
  if (elements !== "spikes") {
    const floats = new Float32Array(arena, offset, words.length)
    return {
      shape,
      words,
      load: () => floats,
      store: (values) => {
        if (values !== floats) floats.set(values)
      },
    }
  }
  const channels = shape.at(-1) ?? 1
  return {
    shape,
    words,
    load: () => {
      const values = new Float32Array(Shape.size(shape))
      Spikes.unpack(words, channels, values)
      return values
    },
    store: (values) => Spikes.pack(values, channels, words),
  }
}

/** The reference backend. It needs no resources; memory is allocated per program. */
export const layer: Layer.Layer<Backend> = Layer.succeed(
  Backend,
  Backend.of({
    name,
    description: "plain TypeScript, one thread",
    prepare: (program) =>
      Effect.suspend((): ReturnType<Backend["Service"]["prepare"]> => {
        const missing = new Set(
          Object.values(program.segments).flatMap((segment) =>
            segment.map(({ kernel }) => kernel).filter((kernel) => !referenceKernels.has(kernel)),
          ),
        )
        if (missing.size > 0) return Effect.fail(new UnsupportedKernelError({ backend: name, kernels: [...missing] }))
        const checks = guard(name, program)
        return Effect.acquireRelease(
          Effect.try({ try: () => make(program, checks), catch: toBackendError(name) }),
          () => Effect.sync(checks.close),
        )
      }),
  }),
)
