/** A single kernel, as a program of one instruction, against its reference implementation. */
import { Effect, type Scope } from "effect"
import { Backend } from "../../backend/backend.ts"
import type { BackendError, ProgramError, UnsupportedKernelError } from "../../errors.ts"
import type { AnyKernel, AnyReferenceKernel, Operand } from "../../kernel.ts"
import type { KernelName } from "../../kernels.ts"
import type { Ref } from "../../op.ts"
import { check } from "../../program/check.ts"
import { type DraftBuffer, layOut } from "../../program/layout.ts"
import { type BufferKind, bufferNames, type Holding, nameOf, type Program } from "../../program/program.ts"
import { segmentsOf, singleInstruction } from "../../program/single-instruction.ts"
import * as Key from "../../random.ts"
import { referenceKernels } from "../../references.ts"
import { type ConformanceError, expectClose, expectEqual, expectNotFinite, fail } from "./compare.ts"
import type { Drawn, Example } from "./example.ts"
import { examples } from "./examples/index.ts"

/** Allowed deviation of a kernel from its reference: the rounding of sums of some hundred float32 numbers. */
const tolerance = 1e-5

const kindOf = (access: string, accumulate: boolean): BufferKind => {
  if (access.startsWith("read")) return "input"
  return access.startsWith("update") || (access.startsWith("gradient") && accumulate) ? "state" : "metric"
}

const operand = (owner: string): Holding => ({ role: "operand", owner })

/** A program with one instruction in the segment `begin`; every operand has a buffer of the same name. */
const programOf = (
  kernel: AnyKernel,
  { attributes = {}, shared }: Example,
  operands: Readonly<Record<string, Drawn>>,
  accumulate: boolean,
): Program => {
  const drafts: Array<DraftBuffer> = [
    { name: bufferNames.input, role: "input", kind: "input", shape: [1, 1], elements: "float32", slots: 1 },
  ]
  const refs: Record<string, Ref> = {}
  for (const [name, { shape, elements }] of Object.entries(operands)) {
    if (name === shared?.[0]) continue
    const access = kernel.operands[name] as string
    refs[name] = {
      buffer: drafts.length,
      ...(accumulate && access.startsWith("gradient") ? { accumulate } : {}),
    }
    const kind = name === shared?.[1] ? "state" : kindOf(access, accumulate)
    drafts.push({ ...operand(name), name: nameOf(operand(name)), kind, shape, elements, slots: 1 })
  }
  if (shared) refs[shared[0]] = { ...(refs[shared[1]] as Ref), lag: 1 }
  const instruction = { kernel: kernel.name, operands: refs, attributes }
  return singleInstruction(instruction, layOut(drafts, segmentsOf(instruction)))
}

/** Whether the kernel has gradients, which one instruction sets and another adds to. */
const hasGradients = (kernel: AnyKernel): boolean =>
  Object.values(kernel.operands as Record<string, string>).some((access) => access.startsWith("gradient"))

/** Runs an example on the backend and compares all operands. Read-only operands must not change. */
const runExample = (
  kernel: AnyReferenceKernel,
  example: Example,
  accumulate: boolean,
): Effect.Effect<
  void,
  ConformanceError | ProgramError | UnsupportedKernelError | BackendError,
  Backend | Scope.Scope
> =>
  Effect.gen(function* () {
    const { attributes = {}, shared } = example
    const drawn = Object.fromEntries(
      Object.entries(example.operands).map(([name, draw]) => [
        name,
        draw(Key.fold(Key.make(1), kernel.name, example.name, name)),
      ]),
    )
    const program = yield* check(programOf(kernel, example, drawn, accumulate))
    const executable = yield* (yield* Backend).prepare(program)
    for (const [i, [name, { data, elements }]] of Object.entries(drawn).entries()) {
      if (name === shared?.[1]) continue
      const floats = i % 2 === 0 ? data : (out: Float32Array) => out.set(data)
      const values = elements === "words" ? new Uint32Array(data.buffer, data.byteOffset, data.length) : floats
      yield* executable.write(nameOf(operand(name === shared?.[0] ? shared[1] : name)), values)
    }
    yield* executable.run([{ segment: "begin", t: 0 }])

    const access = (name: string) => kernel.operands[name] as string
    const expected: Record<string, Operand> = {}
    for (const [name, { shape, data }] of Object.entries(drawn)) {
      const cleared = access(name).startsWith("gradient") && !accumulate
      expected[name] = { shape, data: cleared ? new Float32Array(data.length) : data.slice() }
    }
    kernel.run(expected, attributes)
    for (const [name, { data, elements }] of Object.entries(drawn)) {
      if (name === shared?.[0] || elements === "words") continue
      const found = yield* executable.read(nameOf(operand(name)))
      if (access(name).startsWith("read")) yield* expectEqual(`${name}, which is only read,`, data, found)
      else if (example.loose) yield* expectNotFinite(name, expected[name]!.data, found)
      else if (elements === "spikes") yield* expectEqual(name, expected[name]!.data, found)
      else yield* expectClose(name, expected[name]!.data, found, tolerance)
    }
  })

/** Runs every `stride`-th example of a kernel and lists those that fail. */
const runExamples = (kernel: AnyReferenceKernel, stride: number): Effect.Effect<void, ConformanceError, Backend> =>
  Effect.gen(function* () {
    const own = (examples[kernel.name as KernelName] ?? []).filter((_, i) => i % stride === 0)
    if (own.length === 0)
      return yield* fail(`kernel ${kernel.name} has no examples: add some to testing/conformance/examples`)
    const failures: Array<string> = []
    let count = 0
    for (const example of own)
      for (const accumulate of hasGradients(kernel) ? [false, true] : [false]) {
        count++
        const result = yield* Effect.result(Effect.scoped(runExample(kernel, example, accumulate)))
        if (result._tag === "Failure")
          failures.push(`${example.name}${accumulate ? ", added to what is there" : ""}: ${result.failure.message}`)
      }
    if (failures.length > 0)
      yield* fail(`${failures.length} of ${count} examples fail\n${failures.slice(0, 10).join("\n")}`)
  })

/** The case of a kernel. */
export const makeKernelCase = (kernel: AnyReferenceKernel, stride = 1) => ({
  name: `kernel ${kernel.name}`,
  run: runExamples(kernel, stride),
})

/** One case per kernel. */
export const kernelCases = (stride: number) =>
  [...referenceKernels.values()].map((kernel) => makeKernelCase(kernel, stride))
