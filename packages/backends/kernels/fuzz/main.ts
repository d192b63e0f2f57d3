/**
 * `bun run fuzz`: runs the C kernels on random cases under AddressSanitizer and UndefinedBehaviorSanitizer and compares them with the
 * reference; and runs packed programs with random words changed, which must be refused or run without memory errors.
 *
 *     bun run fuzz [--seconds 20] [--seed N] [--kernel PREFIX] [--case N]
 */
import { parseArgs } from "node:util"
import { type AnyReferenceKernel, type KernelName, Key, Program, referenceKernels, Spikes } from "@spikeroute/core"
import { encode } from "../src/encode.ts"
import { type Case, fuzzedKernels, makeCase, programOf } from "./cases.ts"
import { canBuild, type Runner, startRunners } from "./runner.ts"

const { values: flags } = parseArgs({
  options: {
    seconds: { type: "string", default: "20" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    kernel: { type: "string" },
    case: { type: "string" },
  },
})

const seed = Number(flags.seed)
const calls = Int32Array.of(Program.segmentNames.indexOf("begin"), 0)

/** Allowed error of a result, relative to the operand's largest value. */
const tolerance = 2e-5

/** Header word with the position of the first instruction. */
const headerOfSegments = 5

/** A mismatch or crash; the message is printed with the command that reproduces it. */
class Failure extends Error {}

const kernelOf = (name: string) => referenceKernels.get(name) as AnyReferenceKernel

const gradientsOf = (name: string): ReadonlySet<string> =>
  new Set(
    Object.entries(kernelOf(name).operands as Record<string, string>).flatMap(([operand, access]) =>
      access.startsWith("gradient") ? [operand] : [],
    ),
  )

const wordsOf = (arena: Uint32Array, { offset, shape, elements }: Program.Buffer) =>
  arena.subarray(offset / 4, offset / 4 + Spikes.byteLength(shape, elements) / 4)

const floatsOf = (words: Uint32Array) => new Float32Array(words.buffer, words.byteOffset, words.length)

const fill = (made: Case, program: Program.Program): Uint32Array => {
  const arena = new Uint32Array(program.arenaBytes / 4)
  for (const buffer of program.buffers) {
    const { values } = made.operands[buffer.name] as Case["operands"][string]
    const words = wordsOf(arena, buffer)
    if (buffer.elements === "spikes") Spikes.pack(values, buffer.shape.at(-1) ?? 1, words)
    else floatsOf(words).set(values)
  }
  return arena
}

const valuesOf = (arena: Uint32Array, buffer: Program.Buffer, length: number): Float32Array => {
  const words = wordsOf(arena, buffer)
  if (buffer.elements !== "spikes") return floatsOf(words)
  const values = new Float32Array(length)
  Spikes.unpack(words, buffer.shape.at(-1) ?? 1, values)
  return values
}

/** Compares a kernel's results with the reference. */
const compare = (made: Case, program: Program.Program, arena: Uint32Array): void => {
  const cleared = made.accumulate ? new Set<string>() : gradientsOf(made.kernel)
  const expected = Object.fromEntries(
    Object.entries(made.operands).map(([name, { shape, values }]) => [
      name,
      { shape, data: cleared.has(name) ? new Float32Array(values.length) : values.slice() },
    ]),
  )
  kernelOf(made.kernel).run(expected, made.attributes)
  for (const buffer of program.buffers) {
    if (buffer.elements === "words") continue
    const want = expected[buffer.name]?.data as Float32Array
    const found = valuesOf(arena, buffer, want.length)
    const largest = want.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 1)
    for (let i = 0; i < want.length; i++) {
      const [a, b] = [want[i] as number, found[i] as number]
      if (Math.abs(a - b) <= tolerance * largest || Object.is(a, b)) continue
      throw new Failure(`${buffer.name}[${i}] of ${want.length} is ${b} instead of ${a}`)
    }
  }
}

const runCase = async (made: Case, runners: ReadonlyArray<Runner>): Promise<void> => {
  const program = programOf(made, gradientsOf(made.kernel))
  const arena = fill(made, program)
  const packed = encode(program)
  let first: Uint32Array | undefined
  for (const runner of runners) {
    const answer = await runner.run(packed, arena, calls)
    if (typeof answer === "number")
      throw new Failure(answer === 15 ? "the order of the pieces changes the bits" : `it is refused (${answer})`)
    if (!made.hostile) compare(made, program, answer)
    const forward = /forward|inference|mask|accumulate|rate|zero/.test(made.kernel)
    if (forward && !made.hostile && first && !answer.every((word, i) => word === first?.[i]))
      throw new Failure(`vectors of ${runner.width} bytes give other bits`)
    first ??= answer
  }
}

/** Runs a packed program with a few words changed; returns whether it was refused. */
const runMutation = async (made: Case, number: number, runners: ReadonlyArray<Runner>): Promise<boolean> => {
  const random = Key.generator(Key.fold(Key.make(seed), "mutation", number))
  const program = programOf(made, gradientsOf(made.kernel))
  const packed = encode(program)
  const below = (bound: number) => Math.floor(random.nextDoubleUnsafe() * bound)
  // Instructions are the last words and only a few: half of the changes go there.
  const instruction = packed[headerOfSegments] as number
  for (let changes = 1 + below(3); changes > 0; changes--) {
    const from = random.nextDoubleUnsafe() < 0.5 ? instruction : 0
    const at = from + below(packed.length - from)
    const was = packed[at] as number
    packed[at] = [was + 1, was - 1, -was, below(2 ** 32) - 2 ** 31, was * 64, below(70)][below(6)] as number
  }
  const answer = await (runners[number % runners.length] as Runner).run(packed, fill(made, program), calls)
  return typeof answer === "number"
}

const within = async <A>(work: Promise<A>): Promise<A> => {
  let timer: Timer | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Failure("no answer within 60 seconds")), 60_000)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

const main = async (chosen: ReadonlyArray<KernelName>): Promise<void> => {
  const runners = await startRunners()
  const end = performance.now() + 1000 * Number(flags.seconds)
  let [cases, mutations, refused] = [0, 0, 0]
  let at = ""
  try {
    const from = Number(flags.case ?? 0)
    const to = flags.case === undefined ? Number.POSITIVE_INFINITY : from + 1
    for (let number = from; number < to && (performance.now() < end || flags.case !== undefined); number++)
      for (const kernel of chosen) {
        if (performance.now() > end && flags.case === undefined) break
        at = `bun run fuzz --seed ${seed} --kernel ${kernel} --case ${number}`
        const made = makeCase(seed, kernel, number)
        await within(runCase(made, runners))
        cases++
        if (await within(runMutation(made, number, runners))) refused++
        mutations++
      }
    process.stdout.write(
      `${cases} cases of ${chosen.length} kernels and ${mutations} damaged programs (${refused} refused), vectors of ${runners.map(({ width }) => width).join(", ")} bytes, seed ${seed}: no fault\n`,
    )
  } catch (error) {
    process.stderr.write(`${at}\n${error instanceof Error ? error.message : error}\n`)
    process.exitCode = 1
  } finally {
    for (const runner of runners) runner.close()
  }
}

const chosen = fuzzedKernels.filter((kernel) => kernel.startsWith(flags.kernel ?? ""))
if (chosen.length === 0) {
  process.stderr.write(`no kernel begins with ${flags.kernel}: there are ${fuzzedKernels.join(", ")}\n`)
  process.exitCode = 1
} else if (process.arch === "x64" && process.platform === "linux" && (await canBuild())) await main(chosen)
else process.stdout.write("left out: it needs Linux on x86-64 and a C compiler with AddressSanitizer\n")
