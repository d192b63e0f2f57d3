/** An engine: the kernels in one WebAssembly memory, shared by all of its programs. */
import type { Engine } from "@spikeroute/backend-kernels"
import { arenaBytes, noMemory } from "@spikeroute/backend-kernels/packed"
import { type Memory, make as makeMemory } from "./memory.ts"

/** The exports of c/session.h and, in the threaded module, c/thread-pool.h. */
export interface Exports {
  readonly session_bytes: (program: number, words: number, threads: number) => number
  readonly session_open: (memory: number, program: number, threads: number, arena: number) => void
  readonly session_run: (session: number, calls: number, count: number) => number
  readonly session_is_finite: (session: number, buffer: number) => number
  readonly __heap_base: { readonly value: number }
  readonly __stack_pointer?: { value: number }
  readonly pool_work?: (thread: number) => void
  readonly pool_close?: () => void
}

/** Maximum calls passed to the module at once; longer lists are split. */
const callsAtOnce = 256

export interface Instance {
  readonly exports: Exports
  readonly memory: WebAssembly.Memory
  /** Allocates the memory that the module itself does not use. */
  readonly heap: Memory
}

const pageBytes = 65536

/** Initial size of the memory, and the maximum addressable size. */
export const leastBytes = 64 * pageBytes
export const mostBytes = 65536 * pageBytes

export interface MemoryOptions {
  /** Maximum bytes of the module's memory, 4 MiB to 4 GiB. Default: 4 GiB, all that can be addressed. */
  readonly maximumBytes?: number
}

/** Instantiates a compiled module with its own memory. */
export const instantiate = (
  module: WebAssembly.Module,
  { maximumBytes = mostBytes }: MemoryOptions = {},
  shared = false,
): Instance => {
  const maximum = Math.floor(maximumBytes / pageBytes)
  const memory = new WebAssembly.Memory({ initial: leastBytes / pageBytes, maximum, shared })
  const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports
  return { exports, memory, heap: makeMemory(memory, exports.__heap_base.value, maximum * pageBytes) }
}

/** The engine of the WebAssembly backend. */
export const engineOf = ({ exports, memory, heap }: Instance, threads: number): Engine => ({
  name: "wasm",
  description: `WebAssembly, 128-bit vectors, ${threads} thread${threads === 1 ? "" : "s"}`,
  availableBytes: heap.available,
  open: (program) => {
    const packed = heap.allocate(program.byteLength)
    if (packed === undefined) return -noMemory
    new Int32Array(memory.buffer, packed, program.length).set(program)
    const bytes = exports.session_bytes(packed, program.length, threads)
    const blocks = bytes < 0 ? [] : [bytes, arenaBytes(program), 8 * callsAtOnce].map(heap.allocate)
    const close = () => {
      for (const block of blocks) if (block !== undefined) heap.free(block)
    }
    const [session, arena, calls] = blocks
    if (session === undefined || arena === undefined || calls === undefined) {
      close()
      heap.free(packed)
      return bytes < 0 ? bytes : -noMemory
    }
    exports.session_open(session, packed, threads, arena)
    heap.free(packed)
    let closed = false
    return {
      words: (offset, count) => {
        if (closed) throw new Error("the session is closed")
        return new Uint32Array(memory.buffer, arena + offset, count)
      },
      lends: true,
      bytes: bytes + arenaBytes(program),
      run: (all) => {
        if (closed) throw new Error("the session is closed")
        for (let first = 0; first < all.length; first += 2 * callsAtOnce) {
          const part = all.subarray(first, first + 2 * callsAtOnce)
          new Int32Array(memory.buffer, calls, part.length).set(part)
          const refusal = exports.session_run(session, calls, part.length / 2)
          if (refusal !== 0) return refusal
        }
        return 0
      },
      isFinite: (buffer) => exports.session_is_finite(session, buffer) === 1,
      close: () => {
        if (!closed) close()
        closed = true
      },
    }
  },
})
