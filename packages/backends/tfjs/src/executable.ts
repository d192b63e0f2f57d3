/**
 * Interprets a program on an engine, one instruction after the other.
 *
 * Every slot of a buffer holds a reference to a tensor, or nothing until its first write (it then counts as zeros). Tensors are
 * immutable: an instruction's results replace the slots' references, so several slots may share a tensor and views are free. Only host
 * kernels write in place, to memory that no other slot refers to.
 */
import {
  type AnyKernel,
  asArray,
  type Backend,
  type BackendError,
  type BufferValues,
  type Executable,
  type Guard,
  guard,
  kernels,
  Program,
  type Ref,
  Shape,
  toBackendError,
  tooLarge,
  UnsupportedKernelError,
} from "@spikeroute/core"
import { firstNonFinite } from "@spikeroute/core/values"
import { Effect, type Scope } from "effect"
import type { Engine, Meter, Tensor } from "./engine.ts"
import { everywhere, type HostKernel, inMemory } from "./host/index.ts"
import type { AnyComposition } from "./kernels/composition.ts"
import { compositions, compositionsOnGpu } from "./kernels/index.ts"
import { Workspace } from "./workspace.ts"

interface Operand {
  readonly name: string
  readonly access: "read" | "write" | "update" | "gradient"
  readonly ref: Ref
  readonly buffer: Program.Buffer
}

type Body =
  | { readonly kind: "composition"; readonly run: AnyComposition }
  | { readonly kind: "host"; readonly run: HostKernel }

/** An instruction prepared for execution. */
interface Step {
  readonly instruction: Program.Instruction
  readonly body: Body
  readonly operands: ReadonlyArray<Operand>
  /** Buffers whose last use this is. */
  readonly last: ReadonlyArray<number>
}

const bodyOf = (engine: Engine, kernel: string): Body | undefined => {
  const tables: Readonly<Record<string, HostKernel | undefined>> = engine.memory
    ? { ...everywhere, ...inMemory }
    : everywhere
  const host = tables[kernel]
  if (host) return { kind: "host", run: host }
  const table: Readonly<Record<string, AnyComposition | undefined>> = engine.later
    ? { ...compositions, ...compositionsOnGpu }
    : compositions
  const run = table[kernel]
  return run && kernels.has(kernel) ? { kind: "composition", run } : undefined
}

/** Prepares a program. Its memory is released with the scope. */
export const prepare = (
  engine: Engine,
  program: Program.Program,
): Effect.Effect<Executable, UnsupportedKernelError | BackendError, Scope.Scope> =>
  Effect.suspend((): ReturnType<Backend["Service"]["prepare"]> => {
    const used = Object.values(program.segments).flatMap((segment) => segment.map(({ kernel }) => kernel))
    const missing = new Set(used.filter((kernel) => bodyOf(engine, kernel) === undefined))
    if (missing.size > 0)
      return Effect.fail(new UnsupportedKernelError({ backend: engine.name, kernels: [...missing] }))
    return Effect.acquireRelease(
      Effect.try({ try: () => new Machine(engine, program), catch: toBackendError(engine.name) }),
      (machine) => Effect.sync(() => machine.close()),
    ).pipe(Effect.map((machine) => machine.executable))
  })

/** Throws if the plan, or the largest tensor (spikes are stored as floats), exceeds the engine's memory. */
const checkSize = ({ name, holds = {} }: Engine, { arenaBytes, buffers }: Program.Program): void => {
  const largest = 4 * Math.max(0, ...buffers.map(({ shape }) => Shape.size(shape)))
  if (arenaBytes > (holds.total ?? Number.POSITIVE_INFINITY)) throw tooLarge(name, arenaBytes, holds.total ?? 0)
  if (largest > (holds.tensor ?? 2 ** 32)) throw tooLarge(name, largest, holds.tensor ?? 2 ** 32)
}

class Machine {
  private readonly slots: Array<Array<Tensor | undefined>>
  /** Buffers of raw words, which are not tensors. */
  private readonly words = new Map<number, Uint32Array>()
  private readonly segments: Readonly<Record<Program.SegmentName, ReadonlyArray<Step>>>
  private readonly meter: Meter = { held: 0, peak: 0 }
  private readonly workspace: Workspace
  private readonly guard: Guard

  constructor(
    private readonly engine: Engine,
    private readonly program: Program.Program,
  ) {
    checkSize(engine, program)
    this.guard = guard(engine.name, program)
    this.workspace = new Workspace(engine)
    this.slots = program.buffers.map(({ slots }) => Array.from({ length: slots }, () => undefined))
    program.buffers.forEach(({ elements, shape }, i) => {
      if (elements === "words") this.words.set(i, new Uint32Array(Shape.size(shape)))
    })
    this.segments = steps(engine, program)
  }

  get executable(): Executable {
    const read: Executable["read"] = (name, t = 0) =>
      Effect.flatMap(
        this.attempt(() => this.read(this.guard.readable(name, t), t)),
        (values) =>
          values instanceof Float32Array
            ? Effect.succeed(values)
            : Effect.tryPromise({ try: () => values, catch: toBackendError(this.engine.name) }),
      )
    const gradients = this.program.buffers.filter(({ kind }) => kind === "gradient")
    return {
      program: this.program,
      allocatedBytes: () => this.meter.peak,
      write: (name, values, t = 0) => this.attempt(() => this.write(this.guard.writable(name, t), t, values)),
      read,
      gradientsAreFinite: Effect.map(
        Effect.forEach(gradients, ({ name }) => Effect.map(read(name), (values) => firstNonFinite(values) < 0), {
          concurrency: "unbounded",
        }),
        (finite) => finite.every(Boolean),
      ),
      run: (calls, frames) =>
        this.attempt(() => {
          const work = () => this.run(calls, frames)
          return this.engine.balance ? this.engine.balance.time(this, calls.length, work) : work()
        }),
    }
  }

  close(): void {
    this.engine.within(this.meter, () => {
      for (const slots of this.slots)
        slots.forEach((tensor, slot) => {
          if (tensor) this.engine.dispose(tensor)
          slots[slot] = undefined
        })
    })
    this.guard.close()
  }

  private fail(reason: string): BackendError {
    return this.guard.fail(reason)
  }

  private attempt<A>(body: () => A): Effect.Effect<A, BackendError> {
    return this.guard.attempt(() => {
      this.engine.check()
      return this.engine.within(this.meter, body)
    })
  }

  private find(name: string): number {
    return this.guard.indexOf(name)
  }

  private bufferOf(ref: Ref): Program.Buffer {
    return this.program.buffers[ref.buffer] as Program.Buffer
  }

  private slotOf(ref: Ref, t: number): number {
    return Program.slotOf(this.bufferOf(ref), ref, t)
  }

  /** The tensor in a slot. */
  private load(ref: Ref, t: number): Tensor {
    const slots = this.slots[ref.buffer] as Array<Tensor | undefined>
    const slot = this.slotOf(ref, t)
    const { shape } = this.bufferOf(ref)
    const tensor = slots[slot] ?? this.engine.create(shape, new Float32Array(Shape.size(shape)))
    slots[slot] = tensor
    return tensor
  }

  /** Moves a reference into a slot. */
  private store(ref: Ref, t: number, tensor: Tensor): void {
    const slots = this.slots[ref.buffer] as Array<Tensor | undefined>
    const slot = this.slotOf(ref, t)
    const old = slots[slot]
    slots[slot] = { dataId: tensor.dataId, dtype: tensor.dtype, shape: [...this.bufferOf(ref).shape] }
    if (old) this.engine.dispose(old)
  }

  private write(index: number, t: number, given: BufferValues): void {
    const buffer = this.program.buffers[index] as Program.Buffer
    const expected = Shape.size(buffer.shape)
    const values = asArray(buffer, given, () => new Float32Array(expected))
    this.guard.checkOpen()
    if (values.length !== expected) throw this.fail(`${buffer.name} takes ${expected} values, not ${values.length}`)
    const words = this.words.get(index)
    if (words) words.set(values)
    else this.store({ buffer: index }, t, this.engine.create(buffer.shape, values as Float32Array))
  }

  private read(index: number, t: number): Float32Array | Promise<Float32Array> {
    const words = this.words.get(index)
    return words ? new Float32Array(words.slice().buffer) : this.engine.read(this.load({ buffer: index }, t))
  }

  private run(calls: ReadonlyArray<Program.Call>, frames?: Float32Array): void {
    const input = this.find(Program.bufferNames.input)
    const stride = Shape.size((this.program.buffers[input] as Program.Buffer).shape)
    this.guard.checkCalls(calls, frames)
    for (const { segment, t } of calls) {
      if (frames && Program.forwardSegments.has(segment))
        this.write(input, t, frames.subarray(t * stride, (t + 1) * stride))
      for (const step of this.segments[segment]) this.step(step, t)
    }
  }

  private step(step: Step, t: number): void {
    const { instruction, body } = step
    try {
      if (body.kind === "composition") this.compose(step, body.run, t)
      else if (this.engine.memory) this.runInMemory(step, body.run, t, this.engine.memory)
      else this.runOnWords(step, body.run, t)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw this.fail(`${instruction.kernel} of ${instruction.node}: ${reason}`)
    } finally {
      this.workspace.end()
    }
    for (const buffer of step.last) {
      const slots = this.slots[buffer] as Array<Tensor | undefined>
      slots.forEach((tensor, slot) => {
        if (tensor) this.engine.dispose(tensor)
        slots[slot] = undefined
      })
    }
  }

  private compose({ operands, instruction }: Step, run: AnyComposition, t: number): void {
    const tf = this.workspace
    const given: Record<string, Tensor | { readonly shape: Shape.Shape }> = {}
    for (const { name, access, ref, buffer } of operands)
      given[name] = access === "read" || access === "update" ? this.load(ref, t) : { shape: buffer.shape }
    const results = run(tf, given, instruction.attributes)
    // A result may share data with another operand: keep all results before replacing any slot.
    const kept = operands.map(({ name, access, ref, buffer }) => {
      if (access === "read") return undefined
      const result = results[name]
      if (result === undefined) throw new Error(`nothing was made for ${name}`)
      if (Shape.size(result.shape) !== Shape.size(buffer.shape))
        throw new Error(`${name} was made as ${Shape.format(result.shape)}, not as ${Shape.format(buffer.shape)}`)
      const adds = access === "gradient" && ref.accumulate && this.slots[ref.buffer]?.[this.slotOf(ref, t)]
      return tf.keep(adds ? tf.add(tf.flat(adds), tf.flat(result)) : result)
    })
    operands.forEach(({ ref }, i) => {
      const tensor = kept[i]
      if (tensor) this.store(ref, t, tensor)
    })
  }

  /** Runs a host kernel on the engine's memory. */
  private runInMemory(
    { operands, instruction }: Step,
    run: HostKernel,
    t: number,
    memory: (tensor: Tensor) => Float32Array,
  ): void {
    const tf = this.workspace
    // Views become invalid with the next allocation: create all tensors before the first view.
    const tensors = operands.map(({ access, ref, buffer }) => {
      if (this.words.has(ref.buffer)) return undefined
      if (access === "read") return this.load(ref, t)
      if (access === "write") return tf.create(buffer.shape)
      const old = access === "update" || ref.accumulate ? this.load(ref, t) : undefined
      // A parameter gets a new tensor on update, because the engine caches rearranged copies per tensor.
      if (old && buffer.kind !== "parameter" && this.engine.isUnique(old)) return old
      return tf.create(buffer.shape)
    })
    const given: Record<string, { readonly shape: Shape.Shape; readonly data: Float32Array }> = {}
    operands.forEach(({ name, access, ref, buffer }, i) => {
      const tensor = tensors[i]
      const data = tensor ? memory(tensor) : new Float32Array((this.words.get(ref.buffer) as Uint32Array).buffer)
      given[name] = { shape: buffer.shape, data }
      if (access !== "update" && access !== "gradient") return
      if (access === "gradient" && !ref.accumulate) data.fill(0)
      else {
        const old = this.load(ref, t)
        if (old !== tensor) data.set(memory(old))
      }
    })
    run(given, instruction.attributes)
    operands.forEach(({ access, ref }, i) => {
      const tensor = tensors[i]
      if (access !== "read" && tensor && tensor !== this.slots[ref.buffer]?.[this.slotOf(ref, t)])
        this.store(ref, t, tf.keep(tensor))
    })
  }

  /** Runs a host kernel that reads only raw words, on an engine without accessible memory. */
  private runOnWords({ operands, instruction }: Step, run: HostKernel, t: number): void {
    const given: Record<string, { readonly shape: Shape.Shape; readonly data: Float32Array }> = {}
    for (const { name, ref, buffer } of operands) {
      const words = this.words.get(ref.buffer)
      const data = words ? new Float32Array(words.buffer) : new Float32Array(Shape.size(buffer.shape))
      given[name] = { shape: buffer.shape, data }
    }
    run(given, instruction.attributes)
    for (const { name, access, ref, buffer } of operands)
      if (access === "write") this.store(ref, t, this.engine.create(buffer.shape, given[name]?.data))
  }
}

/** Kinds of buffers that are freed after their last use. */
const passing: ReadonlySet<Program.BufferKind> = new Set(["scratch", "accumulator"])

const steps = (engine: Engine, program: Program.Program): Machine["segments"] => {
  const { segments, buffers } = program
  const usedBy = new Map<number, Set<Program.SegmentName>>()
  for (const segment of Program.segmentNames)
    for (const { operands } of segments[segment])
      for (const { buffer } of Object.values(operands))
        usedBy.set(buffer, (usedBy.get(buffer) ?? new Set()).add(segment))
  const passes = (buffer: number): boolean =>
    usedBy.get(buffer)?.size === 1 && passing.has((buffers[buffer] as Program.Buffer).kind)

  const compile = (segment: Program.SegmentName): ReadonlyArray<Step> => {
    const last = new Map<number, number>()
    segments[segment].forEach(({ operands }, i) => {
      for (const { buffer } of Object.values(operands)) last.set(buffer, i)
    })
    return segments[segment].map((instruction, i) => {
      const { operands } = kernels.get(instruction.kernel) as AnyKernel
      return {
        instruction,
        body: bodyOf(engine, instruction.kernel) as Body,
        operands: Object.entries(instruction.operands).map(([name, ref]) => ({
          name,
          ref,
          access: (operands[name] as string).replace("?", "") as Operand["access"],
          buffer: buffers[ref.buffer] as Program.Buffer,
        })),
        last: [...last].filter(([buffer, at]) => at === i && passes(buffer)).map(([buffer]) => buffer),
      }
    })
  }
  return Object.fromEntries(Program.segmentNames.map((name) => [name, compile(name)])) as Record<
    Program.SegmentName,
    ReadonlyArray<Step>
  >
}
