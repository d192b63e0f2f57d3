/// <reference types="@webgpu/types" />
/** What a program asks of a GPU: counted where WebGPU is called, whoever calls it. */

export interface GpuCounts {
  dispatches: number
  submissions: number
  /** Of all buffers that are alive. */
  bytes: number
  peakBytes: number
}

export const noCounts = (): GpuCounts => ({ dispatches: 0, submissions: 0, bytes: 0, peakBytes: 0 })

let current = noCounts()
let counting = false
const owners = new WeakMap<GPUBuffer, GpuCounts>()

/** Calls `told` with the object before each call of a method. */
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

/** From here on, what is called counts for this. A GPU must have been found before. */
export const countFor = (counts: GpuCounts): void => {
  if (!counting) begin()
  counting = true
  current = counts
}
