/**
 * The oracle: the result of a program, independent of its memory layout.
 *
 * It runs the kernels' reference implementations like the reference backend, but every slot of every buffer has separate memory,
 * kernels read copies, and unwritten memory is filled with NaN. This reveals if a backend, or the layout of a program, confuses two
 * buffers or reads one before it is written.
 */
import { Effect, Layer } from "effect"
import { asArray, Backend, type Executable } from "../../backend/backend.ts"
import { guard, tooLarge } from "../../backend/guard.ts"
import { UnsupportedKernelError } from "../../errors.ts"
import type { AnyReferenceKernel, Operand } from "../../kernel.ts"
import type { Ref } from "../../op.ts"
import {
  type Buffer,
  type BufferKind,
  bufferNames,
  forwardSegments,
  type Program,
  slotOf,
} from "../../program/program.ts"
import { referenceKernels } from "../../references.ts"
import { size } from "../../shape.ts"

const name = "oracle"

/** Buffers that a program may read before writing; initially 0. */
const ready: ReadonlySet<BufferKind> = new Set(["parameter", "statistic", "optimizer", "input"])

type Kernels = ReadonlyMap<string, AnyReferenceKernel>

/** Prepares a program. */
export const make = (
  program: Program,
  table: Kernels = referenceKernels,
  checks = guard(name, program),
): Executable => {
  const { fail, attempt } = checks
  const slots = program.buffers.map(({ kind, shape, slots }) =>
    Array.from({ length: slots }, () => new Float32Array(size(shape)).fill(ready.has(kind) ? 0 : Number.NaN)),
  )
  const at = (ref: Ref, t: number): Float32Array =>
    slots[ref.buffer]![slotOf(program.buffers[ref.buffer] as Buffer, ref, t)] as Float32Array
  const find = (name: string, t: number): Float32Array => at({ buffer: checks.indexOf(name) }, t)

  const execute = ({ kernel: name, operands, attributes }: Program["segments"]["begin"][number], t: number): void => {
    const kernel = table.get(name) as AnyReferenceKernel
    const bound: Record<string, Operand> = {}
    for (const [operand, ref] of Object.entries(operands)) {
      const access = kernel.operands[operand] as string
      const clears = access.startsWith("gradient") && !ref.accumulate
      const { shape } = program.buffers[ref.buffer] as Buffer
      bound[operand] = { shape, data: clears ? new Float32Array(size(shape)) : at(ref, t).slice() }
    }
    kernel.run(bound, attributes)
    for (const [operand, ref] of Object.entries(operands))
      if (!(kernel.operands[operand] as string).startsWith("read")) {
        const { elements } = program.buffers[ref.buffer] as Buffer
        const { data } = bound[operand] as Operand
        at(ref, t).set(elements === "spikes" ? data.map((value) => (value === 0 ? 0 : 1)) : data)
      }
  }

  return {
    program,
    allocatedBytes: () => program.arenaBytes,
    write: (name, given, t = 0) =>
      attempt(() => {
        const buffer = checks.writable(name, t)
        const target = at({ buffer }, t)
        const values = asArray(program.buffers[buffer] as Buffer, given, () => target)
        if (values.length !== target.length) throw fail(`${name} takes ${target.length} values, not ${values.length}`)
        if (values instanceof Uint32Array) new Uint32Array(target.buffer).set(values)
        else target.set(values)
      }),
    read: (name, t = 0) =>
      attempt(() => {
        return at({ buffer: checks.readable(name, t) }, t).slice()
      }),
    gradientsAreFinite: attempt(() =>
      program.buffers.every(
        ({ kind }, i) => kind !== "gradient" || slots[i]!.every((values) => values.every(Number.isFinite)),
      ),
    ),
    run: (calls, frames) =>
      attempt(() => {
        checks.checkCalls(calls, frames)
        for (const { segment, t } of calls) {
          if (frames && forwardSegments.has(segment)) {
            const input = find(bufferNames.input, t)
            input.set(frames.subarray(t * input.length, (t + 1) * input.length))
          }
          for (const instruction of program.segments[segment]) execute(instruction, t)
        }
      }),
  }
}

/** The oracle as a backend, optionally with other kernels, to test the tests. */
export const layer = (table: Kernels = referenceKernels): Layer.Layer<Backend> =>
  Layer.succeed(
    Backend,
    Backend.of({
      name,
      description: "what programs mean, in memory of their own for all buffers",
      prepare: (program) =>
        Effect.suspend((): ReturnType<Backend["Service"]["prepare"]> => {
          const used = Object.values(program.segments).flatMap((segment) => segment.map(({ kernel }) => kernel))
          const missing = [...new Set(used.filter((kernel) => !table.has(kernel)))]
          if (missing.length > 0) return Effect.fail(new UnsupportedKernelError({ backend: name, kernels: missing }))
          if (program.arenaBytes > 2 ** 32) return Effect.fail(tooLarge(name, program.arenaBytes, 2 ** 32))
          const checks = guard(name, program)
          return Effect.acquireRelease(
            Effect.sync(() => make(program, table, checks)),
            () => Effect.sync(checks.close),
          )
        }),
    }),
  )
