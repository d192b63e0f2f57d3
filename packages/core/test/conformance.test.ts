/** The conformance suite itself: the oracle passes it, and a backend with any one fault does not. */
import { describe, expect, test } from "bun:test"
import { Effect, Layer } from "effect"
import { type AnyReferenceKernel, Backend, type Executable, referenceKernels } from "../src/index.ts"
import { Conformance } from "../src/testing/index.ts"

const cases = Conformance.cases()

const run = (name: string, layer: Layer.Layer<Backend>): Promise<string> => {
  const found = cases.find((each) => each.name === name)
  if (found === undefined) throw new Error(`the suite has no case ${name}`)
  return Effect.runPromise(
    found.run.pipe(
      Effect.match({ onSuccess: () => "passes", onFailure: ({ message }) => message }),
      Effect.provide(layer),
    ),
  )
}

describe("the oracle passes", () => {
  for (const { name } of cases)
    test(name, async () => {
      expect(await run(name, Conformance.oracle())).toBe("passes")
    })
})

test("names are unique", () => {
  expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length)
})

describe("a kernel with one fault fails its case:", () => {
  /** The kernel, with what it writes changed by `change`. */
  const withFault = (name: string, change: (after: Float32Array, before: Float32Array) => void) => {
    const kernel = referenceKernels.get(name) as AnyReferenceKernel
    const faulty: AnyReferenceKernel = {
      ...kernel,
      run: (operands, attributes) => {
        const bound = operands as Record<string, { readonly data: Float32Array }>
        const written = Object.keys(bound).filter((operand) => !kernel.operands[operand]!.startsWith("read"))
        const before = new Map(written.map((operand) => [operand, bound[operand]!.data.slice()]))
        kernel.run(operands, attributes)
        const [first] = written
        change(bound[first!]!.data, before.get(first!)!)
      },
    }
    return Conformance.oracle(new Map([...referenceKernels, [name, faulty]]))
  }
  for (const name of referenceKernels.keys()) {
    test(`${name} does nothing`, async () => {
      const faulty = withFault(name, (after, before) => after.set(before))
      expect(await run(`kernel ${name}`, faulty)).toMatch(/^\d+ of \d+ examples fail\n/)
    })
    test(`${name} writes a wrong last element`, async () => {
      const faulty = withFault(name, (after) => {
        const last = after.length - 1
        after[last] = after[last] === 0 ? 1 : after[last]! * (name === "dropout.mask" ? 0 : 1.001)
      })
      expect(await run(`kernel ${name}`, faulty)).toMatch(/^\d+ of \d+ examples fail\n/)
    })
  }
  test("a new kernel without examples", async () => {
    const { makeKernelCase } = await import("../src/testing/conformance/kernel.ts")
    const kernel = { ...(referenceKernels.get("zero") as AnyReferenceKernel), name: "new.kernel" }
    const { message } = await Effect.runPromise(
      makeKernelCase(kernel).run.pipe(Effect.flip, Effect.provide(Conformance.oracle())),
    )
    expect(message).toContain("kernel new.kernel has no examples")
  })
})

describe("a backend with one fault fails:", () => {
  /** The oracle, its executables changed. */
  const backend = (change: (executable: Executable) => Partial<Executable>): Layer.Layer<Backend> =>
    Layer.effect(
      Backend,
      Effect.map(Backend, (oracle) =>
        Backend.of({
          ...oracle,
          prepare: (program) =>
            Effect.map(oracle.prepare(program), (executable) => ({ ...executable, ...change(executable) })),
        }),
      ),
    ).pipe(Layer.provide(Conformance.oracle()))

  let total = 0

  const faults: ReadonlyArray<readonly [fault: string, name: string, layer: Layer.Layer<Backend>]> = [
    [
      "memory grows from program to program",
      "memory: closing the scope releases the program's memory",
      backend(({ allocatedBytes }) => {
        total += allocatedBytes()
        const bytes = total
        return { allocatedBytes: () => bytes }
      }),
    ],
    [
      "memory grows from run to run",
      "memory: further batches allocate no more",
      backend(({ allocatedBytes, run }) => {
        let bytes = allocatedBytes()
        return {
          allocatedBytes: () => bytes,
          run: (calls, frames) => {
            bytes += 64
            return run(calls, frames)
          },
        }
      }),
    ],
    [
      "memory is not what was planned",
      "memory: a program allocates what was planned",
      backend(({ allocatedBytes }) => ({ allocatedBytes: () => allocatedBytes() + 64 })),
    ],
    [
      "a read is no copy",
      "buffers: written values are read back",
      backend(({ read }) => {
        const known = new Map<string, Float32Array>()
        return {
          read: (name, t) =>
            Effect.map(read(name, t), (values) => {
              if (!known.has(name)) known.set(name, values)
              return known.get(name) as Float32Array
            }),
        }
      }),
    ],
    [
      "wrong sizes are taken",
      "buffers: wrong sizes and names are rejected and change nothing",
      backend(({ write }) => ({ write: (name, values) => Effect.ignore(write(name, values)) })),
    ],
    [
      "gradients cannot be written",
      "gradients: the update uses gradients written after the backward direction, bptt",
      backend(({ write }) => ({
        write: (name, values) => (name.startsWith("gradient/") ? Effect.void : write(name, values)),
      })),
    ],
    [
      "every read is of slot 0",
      "buffers: every stored time step can be read",
      backend(({ read }) => ({ read: (name) => read(name) })),
    ],
    [
      "runs are not repeatable",
      "runs: deterministic",
      backend(({ read }) => ({
        read: (name, t) => Effect.map(read(name, t), (values) => values.map((value) => value + 1e-6 * Math.random())),
      })),
    ],
    [
      "the last update is lost",
      "residual, frames, sltt",
      backend(({ run }) => ({
        run: (calls, frames) =>
          run(
            calls.filter(({ segment }) => segment !== "update"),
            frames,
          ),
      })),
    ],
    [
      "gradients are off by a thousandth",
      "random networks 1",
      backend(({ read }) => ({
        read: (name, t) =>
          Effect.map(read(name, t), (values) =>
            name.startsWith("gradient/") ? values.map((value) => 1.001 * value) : values,
          ),
      })),
    ],
    [
      "trained steps run in another order",
      "perceptron, frames, bptt",
      backend(({ run }) => ({ run: (calls, frames) => run(calls.toReversed(), frames) })),
    ],
  ]
  for (const [fault, name, layer] of faults)
    test(fault, async () => {
      expect(await run(name, layer)).not.toBe("passes")
    })

  test("resources that a scope does not release", async () => {
    let held = 0
    const leaking = backend(() => {
      held++
      return {}
    })
    const [found] = Conformance.cases({ resources: Effect.sync(() => held) }).filter(({ name }) =>
      name.startsWith("memory: closing the scope"),
    )
    const { message } = await Effect.runPromise(found!.run.pipe(Effect.flip, Effect.provide(leaking)))
    expect(message).toBe("five scopes later the backend holds 6 instead of 1")
  })
})
