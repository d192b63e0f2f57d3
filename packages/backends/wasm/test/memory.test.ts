import { expect, test } from "bun:test"
import { Key } from "@spikeroute/core"
import { make } from "../src/memory.ts"

test("blocks are aligned, zeroed, disjoint, and reused when freed", () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 64 })
  const heap = make(memory, 1000, 64 * 65536)
  const random = Key.generator(Key.make(1))
  const blocks = new Map<number, number>()
  for (let i = 0; i < 2000; i++) {
    if (blocks.size > 20 || (blocks.size > 0 && random.nextDoubleUnsafe() < 0.45)) {
      const from = [...blocks.keys()][Math.floor(random.nextDoubleUnsafe() * blocks.size)] as number
      heap.free(from)
      blocks.delete(from)
      continue
    }
    const bytes = Math.floor(random.nextDoubleUnsafe() * 100_000)
    const from = heap.allocate(bytes) as number
    expect(from % 64).toBe(0)
    expect(from).toBeGreaterThanOrEqual(1000)
    const content = new Uint8Array(memory.buffer, from, bytes)
    expect(content.every((byte) => byte === 0)).toBe(true)
    content.fill(1)
    for (const [other, length] of blocks) expect(from + bytes <= other || other + length <= from).toBe(true)
    blocks.set(from, bytes)
  }
  for (const from of blocks.keys()) heap.free(from)
  expect(heap.allocated()).toBe(0)
  expect(heap.allocate(2 ** 20)).toBe(1024)
})

test("an allocation beyond the maximum fails and leaks nothing", () => {
  const heap = make(new WebAssembly.Memory({ initial: 1, maximum: 2 }), 0, 131_072)
  expect(heap.allocate(200_000)).toBeUndefined()
  expect(heap.allocated()).toBe(0)
  expect(heap.available()).toBe(131_072)
  expect(heap.allocate(100_000)).toBe(0)
  expect(heap.available()).toBe(131_072 - 100_032)
})
