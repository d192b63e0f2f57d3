/// <reference types="@webgpu/types" />
/** Counts a program's use of a GPU by intercepting WebGPU calls, so that it works for every library. */

export interface GpuCounts {
  dispatches: number
  submissions: number
  /** Bytes of all live buffers. */
  bytes: number
  peakBytes: number
}

export const noCounts = (): GpuCounts => ({ dispatches: 0, submissions: 0, bytes: 0, peakBytes: 0 })

let current = noCounts()
let counting = false
const owners = new WeakMap<GPUBuffer, GpuCounts>()

/** Makes a method call `told` with its object first. */
const before = <T extends object>(prototype: T, name: keyof T & string, told: (self: T) => void): void => {
  const method = prototype[name] as (...args: Array<unknown>) => unknown
  Object.assign(prototype, {
    [name](this: T, ...args: Array<unknown>): unknown {
      told(this)
      return method.apply(this, args)
    },
  })
}

const begin = (): void => {
  const { createBuffer } = GPUDevice.prototype
  GPUDevice.prototype.createBuffer = function (descriptor) {
    const buffer = createBuffer.call(this, descriptor)
    owners.set(buffer, current)
    current.bytes += descriptor.size
    current.peakBytes = Math.max(current.peakBytes, current.bytes)
    return buffer
  }
  before(GPUBuffer.prototype, "destroy", (self) => {
    const owner = owners.get(self)
    if (owner === undefined) return
    owner.bytes -= self.size
    owners.delete(self)
  })
  before(GPUQueue.prototype, "submit", () => {
    current.submissions++
  })
  for (const name of ["dispatchWorkgroups", "dispatchWorkgroupsIndirect"] as const)
    before(GPUComputePassEncoder.prototype, name, () => {
      current.dispatches++
    })
}

/** Attributes all following calls to `counts`. A GPU must have been found before. */
export const countFor = (counts: GpuCounts): void => {
  if (!counting) begin()
  counting = true
  current = counts
}
