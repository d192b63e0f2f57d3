/** A thread of the kernels: reports that it is ready, then works until the engine is closed. */
import type { Exports } from "./engine.ts"
import type { Assignment } from "./threads.ts"

const work = ({ module, memory, thread, stack }: Assignment, ready: () => void): void => {
  const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports
  if (exports.__stack_pointer) exports.__stack_pointer.value = stack
  ready()
  exports.pool_work?.(thread)
}

const scope = globalThis as {
  onmessage?: (event: { readonly data: Assignment }) => void
  readonly postMessage?: (message: string) => void
}

if (scope.postMessage) {
  scope.onmessage = ({ data }) => work(data, () => scope.postMessage?.("ready"))
} else {
  const { parentPort } = await import("node:worker_threads")
  parentPort?.once("message", (assignment: Assignment) => work(assignment, () => parentPort.postMessage("ready")))
}
