/**
 * Reads Python's pickle format as data. A pickle is a program for a stack machine that builds dicts, lists, strings and numbers. No
 * code of a file is executed: a Python name, such as `os.system`, is looked up among the few that the caller allows, and any other
 * is rejected.
 *
 * Dicts become Maps, lists and tuples arrays, None null, bytes Uint8Arrays. Supported are the binary instructions of protocols 2 to
 * 5 for such values (see Python's `pickletools`).
 */
import { quote } from "../text.ts"
import { FileFault } from "./file-fault.ts"

/** The allowed names. Functions are called with the pickle's arguments; other values are used as they are. */
export interface Names {
  readonly globals: ReadonlyMap<string, unknown>
  /** Resolves a reference to data outside the pickle. */
  readonly persistent: (id: unknown) => unknown
}

/** Width in bytes of a little-endian argument. */
type Width = 1 | 2 | 4 | 8

/** The longest supported integer in bytes. */
const longest = 16

class Machine {
  readonly stack: Array<unknown> = []
  readonly marks: Array<number> = []
  readonly memo = new Map<number, unknown>()
  readonly data: DataView
  readonly bytes: Uint8Array
  readonly names: Names
  at: number

  constructor(bytes: Uint8Array, at: number, names: Names) {
    this.bytes = bytes
    this.data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = at
    this.names = names
  }

  fail(reason: string): never {
    throw new FileFault(reason, this.at)
  }

  /** Offset of the next `count` bytes, after checking that they exist. */
  take(count: number): number {
    const from = this.at
    if (!(count <= this.bytes.length - from)) this.fail("it is cut off")
    this.at += count
    return from
  }

  count(width: Width): number {
    const from = this.take(width)
    if (width === 1) return this.data.getUint8(from)
    if (width === 2) return this.data.getUint16(from, true)
    return width === 4 ? this.data.getUint32(from, true) : Number(this.data.getBigUint64(from, true))
  }

  raw(count: number): Uint8Array {
    const from = this.take(count)
    return this.bytes.subarray(from, from + count)
  }

  text(count: number): string {
    return new TextDecoder().decode(this.raw(count))
  }

  line(): string {
    const end = this.bytes.indexOf(10, this.at)
    if (end < 0) this.fail("it is cut off")
    const text = this.text(end - this.at)
    this.at++
    return text
  }

  /** An integer in two's complement. */
  long(count: number): number {
    if (count > longest) this.fail(`it has an integer of ${count} bytes`)
    let value = 0n
    for (const [i, byte] of this.raw(count).entries()) value |= BigInt(byte) << BigInt(8 * i)
    return Number(BigInt.asIntN(8 * count, value))
  }

  pop(): unknown {
    if (this.stack.length <= (this.marks.at(-1) ?? 0)) this.fail("it pops an empty stack")
    return this.stack.pop()
  }

  top(): unknown {
    if (this.stack.length <= (this.marks.at(-1) ?? 0)) this.fail("it pops an empty stack")
    return this.stack.at(-1)
  }

  /** The values since the last mark. */
  marked(): Array<unknown> {
    const mark = this.marks.pop()
    if (mark === undefined) this.fail("it pops a mark that was not set")
    return this.stack.splice(mark as number)
  }

  list(): Array<unknown> {
    const list = this.top()
    return Array.isArray(list) ? list : this.fail("it appends to something that is not a list")
  }

  fill(items: ReadonlyArray<unknown>): void {
    const map = this.top()
    if (!(map instanceof Map) || items.length % 2 !== 0) this.fail("it sets items of something that is not a dict")
    for (let i = 0; i < items.length; i += 2) (map as Map<unknown, unknown>).set(items[i], items[i + 1])
  }

  recall(key: number): unknown {
    return this.memo.has(key) ? this.memo.get(key) : this.fail(`it recalls the value ${key}, which was not stored`)
  }

  global(module: unknown, name: unknown): unknown {
    const known = `${module}.${name}`
    const { globals } = this.names
    return globals.has(known) ? globals.get(known) : this.fail(`it needs ${quote(known)}, which is not data`)
  }

  call(args: unknown): unknown {
    const callee = this.pop()
    if (typeof callee !== "function" || !Array.isArray(args)) this.fail("it calls a value that cannot be called")
    try {
      return (callee as (...args: ReadonlyArray<unknown>) => unknown)(...(args as ReadonlyArray<unknown>))
    } catch (error) {
      return error instanceof FileFault
        ? this.fail(error.reason)
        : this.fail("it builds a tensor with unknown arguments")
    }
  }
}

type Instruction = (machine: Machine) => void

const push =
  (value: (machine: Machine) => unknown): Instruction =>
  (machine) => {
    machine.stack.push(value(machine))
  }

const keep =
  (key: (machine: Machine) => number): Instruction =>
  (machine) => {
    machine.memo.set(key(machine), machine.top())
  }

const tuple = (length: number): Instruction => push((m) => Array.from({ length }, () => m.pop()).reverse())

/** The instructions by opcode, except STOP. */
const instructions: ReadonlyMap<number, Instruction> = new Map<number, Instruction>([
  // Protocol and frames.
  [0x80, (m) => void m.take(1)],
  [0x95, (m) => void m.take(8)],
  // Constants.
  [0x4e, push(() => null)],
  [0x88, push(() => true)],
  [0x89, push(() => false)],
  [0x4a, push((m) => m.data.getInt32(m.take(4), true))],
  [0x4b, push((m) => m.count(1))],
  [0x4d, push((m) => m.count(2))],
  [0x8a, push((m) => m.long(m.count(1)))],
  [0x47, push((m) => m.data.getFloat64(m.take(8), false))],
  [0x55, push((m) => m.text(m.count(1)))],
  [0x54, push((m) => m.text(m.count(4)))],
  [0x8c, push((m) => m.text(m.count(1)))],
  [0x58, push((m) => m.text(m.count(4)))],
  [0x8d, push((m) => m.text(m.count(8)))],
  [0x43, push((m) => m.raw(m.count(1)))],
  [0x42, push((m) => m.raw(m.count(4)))],
  [0x8e, push((m) => m.raw(m.count(8)))],
  // Collections.
  [0x7d, push(() => new Map())],
  [0x5d, push(() => [])],
  [0x29, push(() => [])],
  [0x28, (m) => void m.marks.push(m.stack.length)],
  [0x74, push((m) => m.marked())],
  [0x6c, push((m) => m.marked())],
  [0x85, tuple(1)],
  [0x86, tuple(2)],
  [0x87, tuple(3)],
  [
    0x61,
    (m) => {
      const value = m.pop()
      m.list().push(value)
    },
  ],
  [
    0x65,
    (m) => {
      const values = m.marked()
      const list = m.list()
      for (const value of values) list.push(value)
    },
  ],
  [
    0x73,
    (m) => {
      const value = m.pop()
      m.fill([m.pop(), value])
    },
  ],
  [0x75, (m) => m.fill(m.marked())],
  // The stack and the memo.
  [0x30, (m) => void m.pop()],
  [0x31, (m) => void m.marked()],
  [0x32, push((m) => m.top())],
  [0x71, keep((m) => m.count(1))],
  [0x72, keep((m) => m.count(4))],
  [0x94, keep((m) => m.memo.size)],
  [0x68, push((m) => m.recall(m.count(1)))],
  [0x6a, push((m) => m.recall(m.count(4)))],
  // Names, calls, and attributes (ignored).
  [0x63, push((m) => m.global(m.line(), m.line()))],
  [
    0x93,
    push((m) => {
      const name = m.pop()
      return m.global(m.pop(), name)
    }),
  ],
  [0x52, push((m) => m.call(m.pop()))],
  [0x81, push((m) => m.call(m.pop()))],
  [0x62, (m) => void m.pop()],
  [0x51, push((m) => m.names.persistent(m.pop()))],
])

const stop = 0x2e

/**
 * Reads the pickle at a byte offset. Returns its value and the offset of the byte after it.
 *
 * @throws FileFault if it is malformed, or uses a name that is not allowed
 */
export const unpickle = (
  bytes: Uint8Array,
  from: number,
  names: Names,
): { readonly value: unknown; readonly end: number } => {
  const machine = new Machine(bytes, from, names)
  for (;;) {
    const code = machine.count(1)
    if (code === stop) return { value: machine.pop(), end: machine.at }
    const instruction = instructions.get(code)
    if (instruction === undefined)
      machine.fail(`it has the instruction 0x${code.toString(16).padStart(2, "0")}, which plain data does not need`)
    ;(instruction as Instruction)(machine)
  }
}
