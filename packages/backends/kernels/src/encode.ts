/** Encodes a program as 32-bit words; c/program.h describes the format. */
import { type AnyKernel, type Expressions, kernels, Program, type Ref, Shape } from "@spikeroute/core"
import { packAttributes, type Word } from "./attributes.ts"
import { packExpression, type Store } from "./expressions.ts"
import { fastPathOf, fastPaths as leakyPaths } from "./lif.ts"
import { elementKinds, headerWords, magic, maximumRank, unit } from "./packed.ts"
import { updatePathOf, updatePaths } from "./updates.ts"

/** For kernels in c/kernels.def that are not core kernels: their operands, and the operands of the core kernel that they replace. */
export const fastPaths: Readonly<Record<string, Readonly<Record<string, string>>>> = { ...leakyPaths, ...updatePaths }

/** The kernels in the order of c/kernels.def; an opcode is an index into this list. */
export const opcodes: ReadonlyArray<string> = [...kernels.keys(), ...Object.keys(fastPaths)]

const wordsOfBuffer = ({
  shape,
  elements,
  offset,
  stride,
  slots,
  every = 1,
}: Program.Buffer): ReadonlyArray<number> => {
  const size = Shape.size(shape)
  const channels = shape.at(-1) ?? 1
  return [
    offset / unit,
    stride / unit,
    slots,
    every,
    elementKinds.indexOf(elements),
    shape.length,
    ...Array.from({ length: maximumRank }, (_, axis) => shape[axis] ?? 0),
    size,
    channels,
    channels === 0 ? 0 : size / channels,
  ]
}

const floats = new Float32Array(1)
const bits = new Int32Array(floats.buffer)
const bitsOf = (value: number): number => {
  floats[0] = value
  return bits[0] as number
}

const wordOf = (word: Word): number => (typeof word === "number" ? word : bitsOf(word.float))

const wordsOfInstruction = (
  kernel: string,
  operands: ReadonlyArray<Ref | undefined>,
  attributes: ReadonlyArray<Word>,
): ReadonlyArray<number> => [
  opcodes.indexOf(kernel),
  ...operands.map((ref) =>
    ref === undefined ? -1 : 2 ** 13 * ref.buffer + (ref.accumulate ? 2 ** 12 : 0) + (ref.lag ?? 0),
  ),
  ...attributes.map(wordOf),
]

const operandNames = (kernel: string): ReadonlyArray<string> => Object.keys((kernels.get(kernel) as AnyKernel).operands)

/** The encoded expression of an instruction, if it has one. */
const expressionOf = ({ kernel, operands, attributes }: Program.Instruction): ReadonlyArray<number> | undefined => {
  if (kernel !== "elementwise.forward" && kernel !== "elementwise.backward") return undefined
  const names = operandNames(kernel)
  const to = (name: string, place: number, plane = -1): ReadonlyArray<Store> =>
    place < 0 ? [] : [{ operand: names.indexOf(name), plane, place }]
  const each = (places: ReadonlyArray<number>, name: string) => places.flatMap((place, i) => to(`${name}${i}`, place))
  const planes = (places: ReadonlyArray<number>, name: string) => places.flatMap((place, i) => to(name, place, i))
  const bufferOf = (operand: number) => operands[names[operand] as string]?.buffer
  const isShared = (read: number, written: number) => bufferOf(read) === bufferOf(written)
  if (kernel === "elementwise.forward") {
    const { code, state, y } = attributes as unknown as Expressions.ElementwiseForward
    return packExpression(code, [...planes(state, "state"), ...to("y", y)], names, isShared)
  }
  const { code, carry, dx, dp } = attributes as unknown as Expressions.ElementwiseBackward
  return packExpression(code, [...planes(carry, "carry"), ...each(dx, "dx"), ...each(dp, "dp")], names, isShared)
}

/** Encodes a program whose kernels are all among {@link opcodes}. */
export const encode = (program: Program.Program): Int32Array => {
  const words: Array<number> = program.buffers.flatMap(wordsOfBuffer)
  const { buffers, window, trainedSteps, timeSteps } = program
  /** Whether an instruction's weights serve several steps of a micro-batch, so that copies derived from them are worth caching. */
  const stays = ({ kernel, operands: { weight } }: Program.Instruction, segment: Program.SegmentName): boolean =>
    (kernel === "linear.forward" ? segment !== "begin" && timeSteps > 1 : window > 1 || trainedSteps > 1) &&
    weight !== undefined &&
    buffers[weight.buffer]?.kind === "parameter"
  /** Expressions, stored once each after all instructions, with the words that will hold the relative offset to them. */
  const expressions = new Map<string, { readonly packed: ReadonlyArray<number>; readonly from: Array<number> }>()
  const segments = Program.segmentNames.flatMap((name) => {
    const begin = headerWords + words.length
    for (const instruction of program.segments[name]) {
      const { kernel, operands, attributes } = instruction
      const fast = fastPathOf(instruction, buffers) ?? updatePathOf(instruction)
      if (fast !== undefined) {
        const names = Object.values(fastPaths[fast.kernel] as Readonly<Record<string, string>>)
        const given = names.map((name) => operands[name])
        words.push(...wordsOfInstruction(fast.kernel, given, fast.attributes))
        continue
      }
      const given = operandNames(kernel).map((name) => operands[name])
      const own = packAttributes(kernel, { ...attributes, stays: stays(instruction, name) })
      words.push(...wordsOfInstruction(kernel, given, own))
      const packed = expressionOf(instruction)
      if (packed === undefined) continue
      const known = expressions.get(packed.join()) ?? { packed, from: [] }
      expressions.set(packed.join(), known)
      known.from.push(words.length - own.length)
    }
    return [begin, program.segments[name].length]
  })
  for (const { packed, from } of expressions.values()) {
    for (const at of from) words[at] = words.length - at
    words.push(...packed)
  }
  const total = headerWords + words.length
  const arena = program.arenaBytes / unit
  return Int32Array.of(magic, total, program.buffers.length, program.timeSteps, arena, ...segments, ...words)
}
