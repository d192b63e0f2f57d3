/** The table of kernels. Its types are held by `tsc`: what must not compile is a type that is not assignable here. */
import { expect, test } from "bun:test"
import {
  type AttributedKernel,
  type KernelAttributes,
  type KernelName,
  kernels,
  Program,
  Windows,
} from "../src/index.ts"

/** Whether `A` may stand where `B` is asked for. */
type Fits<A, B> = [A] extends [B] ? true : false

type Table = Readonly<Record<KernelName, () => void>>

test("names are literals, so a table that is empty, lacks a kernel or misspells one does not compile", () => {
  const literal: Fits<string, KernelName> = false
  const empty: Fits<Record<never, never>, Table> = false
  const lacking: Fits<Omit<Table, "zero">, Table> = false
  const misspelt: Fits<"linear.forwards", KernelName> = false
  expect([literal, empty, lacking, misspelt]).toEqual([false, false, false, false])
})

test("attributes are typed by kernel", () => {
  const groups: Fits<KernelAttributes["conv2d.forward"]["groups"], number> = true
  const window: Fits<{ readonly stride: number }, KernelAttributes["maxPool.forward"]> = false
  const withAttributes: Fits<"elementwise.backward" | "elementwise.forward", AttributedKernel> = true
  const without: Fits<"linear.forward", AttributedKernel> = false
  expect([groups, window, withAttributes, without]).toEqual([true, false, true, false])

  const pool: Program.Instruction = {
    kernel: "averagePool.forward",
    operands: {},
    attributes: { ...Windows.windowOf(3, 3, { stride: 2, padding: 1 }), share: 1 / 9 },
    node: "pool",
    phase: "forward",
  }
  expect(Program.isOf(pool, "averagePool.forward") && pool.attributes.rows.kernel).toBe(3)
  expect(Program.isOf(pool, "averagePool.backward")).toBe(false)
  expect(Program.isOf(undefined, "averagePool.forward")).toBe(false)
})

test("every kernel is listed under its own name", () => {
  expect([...kernels.keys()]).toContain("elementwise.forward")
  for (const [name, kernel] of kernels) expect(kernel.name).toBe(name)
})
