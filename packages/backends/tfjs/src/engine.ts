/**
 * A TensorFlow.js engine: tensors and the kernels that make new ones of them.
 *
 * Kernels are called directly, without TensorFlow.js's own engine: it has one current backend, a tape and tensors that belong
 * to it, all of them global. Here a tensor is a reference that its holder disposes of, and several engines live side by side.
 */
import type { DataId, DataType, KernelBackend, KernelFunc, NamedAttrMap, TensorInfo } from "@tensorflow/tfjs-core"
import type { Balance } from "./balance.ts"

/** A reference to a tensor's data, under a shape. Several may refer to the same data. */
export type Tensor = TensorInfo

/** Counts the bytes of the tensors that one holder has. */
export interface Meter {
  held: number
  peak: number
}

/** The part of TensorFlow.js that holds its kernels. */
export interface Registry {
  readonly getKernel: (name: string, backend: string) => { readonly kernelFunc: KernelFunc } | undefined
  readonly getKernelsForBackend: (
    backend: string,
  ) => ReadonlyArray<{ readonly setupFunc?: (backend: KernelBackend) => void }>
}

export interface EngineOptions {
  /** Name of the backend of Spikeroute, and of the one of TensorFlow.js. */
  readonly name: string
  readonly registeredAs: string
  readonly description: string
  readonly backend: KernelBackend
  readonly registry: Registry
  /** Where kernels only begin when they are called: tensors are read asynchronously then. */
  readonly later?: {
    /** What went wrong so far, with whatever kernel. */
    readonly fault: () => string | undefined
    readonly close: () => void
  }
  /** Bytes of memory that there are, in all and for one tensor, where that is known. */
  readonly holds?: { readonly total?: number; readonly tensor?: number }
  /** The memory of a float32 tensor itself, where JavaScript can reach it. It is valid until the next allocation. */
  readonly memory?: (tensor: Tensor) => Float32Array
}

interface Allocation {
  readonly bytes: number
  readonly meter: Meter
}

/** Kernels of TensorFlow.js keep the functions of their WebAssembly instance in variables of their modules: one is in charge. */
let inCharge: KernelBackend | undefined

export class Engine {
  readonly name: string
  readonly description: string
  readonly memory: ((tensor: Tensor) => Float32Array) | undefined
  readonly later: EngineOptions["later"]
  readonly holds: EngineOptions["holds"]
  /** Times the runs where the number of threads can change. */
  balance: Balance | undefined
  private readonly backend: KernelBackend
  private readonly registry: Registry
  private readonly registeredAs: string
  private readonly functions = new Map<string, KernelFunc>()
  private readonly allocations = new Map<DataId, Allocation>()
  private readonly derived = new Map<DataId, Map<string, Tensor>>()
  private readonly constants = new Map<number, Tensor>()
  private meter: Meter = { held: 0, peak: 0 }

  constructor({ name, registeredAs, description, backend, registry, later, holds, memory }: EngineOptions) {
    this.name = name
    this.registeredAs = registeredAs
    this.description = description
    this.backend = backend
    this.registry = registry
    this.later = later
    this.holds = holds
    this.memory = memory
    this.count()
  }

  /** Runs a kernel. The result is a new reference. */
  run(kernel: string, inputs: Readonly<Record<string, Tensor | undefined>>, attributes: object = {}): Tensor {
    let run = this.functions.get(kernel)
    if (run === undefined) {
      run = this.registry.getKernel(kernel, this.registeredAs)?.kernelFunc
      if (run === undefined) throw new Error(`TensorFlow.js has no kernel ${kernel} for ${this.registeredAs}`)
      this.functions.set(kernel, run)
    }
    return run({
      inputs: inputs as Record<string, Tensor>,
      attrs: attributes as NamedAttrMap,
      backend: this.backend,
    }) as Tensor
  }

  /** A new tensor with a copy of the values, or with whatever lies in its memory. */
  create(shape: ReadonlyArray<number>, values?: Float32Array): Tensor {
    const extents = [...shape]
    // Engines whose memory is out of reach take over the array that they are given.
    const data = this.memory ? (values ?? null) : (values?.slice() ?? new Float32Array(size(extents)))
    return {
      dataId: this.backend.write(data as Float32Array, extents, "float32"),
      shape: extents,
      dtype: "float32",
    }
  }

  /** A scalar that lives as long as the engine. */
  constant(value: number): Tensor {
    const found = this.constants.get(value)
    if (found) return found
    const made = this.within({ held: 0, peak: 0 }, () => this.create([], Float32Array.of(value)))
    this.constants.set(value, made)
    return made
  }

  /** A copy of a tensor's values. */
  read(tensor: Tensor): Float32Array | Promise<Float32Array> {
    // Engines without memory within reach keep what they hand out.
    const copy = (values: unknown) =>
      this.memory ? (values as Float32Array) : Float32Array.from(values as Float32Array)
    if (this.later === undefined) return copy(this.backend.readSync(tensor.dataId))
    return (this.backend.read(tensor.dataId) as Promise<unknown>).then((values) => {
      this.check()
      return copy(values)
    })
  }

  /** Throws where a kernel that ran before has failed since. */
  check(): void {
    const fault = this.later?.fault()
    if (fault !== undefined) throw new Error(fault)
  }

  /** One more reference to the same data. */
  share(tensor: Tensor): Tensor {
    this.backend.incRef(tensor.dataId)
    return { ...tensor }
  }

  /** Whether nothing else refers to the data. */
  isUnique(tensor: Tensor): boolean {
    return this.backend.refCount(tensor.dataId) === 1
  }

  /** Gives up one reference; with the last one the memory is free. */
  dispose(tensor: Tensor): void {
    this.backend.disposeData(tensor.dataId)
  }

  /** What was made of a tensor before under this name, or makes it. It lives as long as the tensor's data. */
  derive(source: Tensor, name: string, make: () => Tensor): Tensor {
    const all = this.derived.get(source.dataId) ?? new Map<string, Tensor>()
    const found = all.get(name) ?? make()
    this.derived.set(source.dataId, all.set(name, found))
    return found
  }

  /** Runs `body` with this engine's kernels in charge, the memory that it takes counted by `meter`. */
  within<A>(meter: Meter, body: () => A): A {
    if (inCharge !== this.backend) {
      for (const { setupFunc } of this.registry.getKernelsForBackend(this.registeredAs)) setupFunc?.(this.backend)
      inCharge = this.backend
    }
    const outer = this.meter
    this.meter = meter
    try {
      return body()
    } finally {
      this.meter = outer
    }
  }

  /** Tensors that are alive. */
  get tensors(): number {
    return this.backend.numDataIds()
  }

  /** Ends the engine and its threads. */
  close(): void {
    if (inCharge === this.backend) inCharge = undefined
    this.backend.dispose()
    this.later?.close()
  }

  /** Counts what the backend allocates, inside of its kernels too. */
  private count(): void {
    const { backend, allocations } = this
    const write = backend.write.bind(backend)
    const disposeData = backend.disposeData.bind(backend)
    backend.write = (values, shape, dtype) => {
      const id = write(values, shape, dtype)
      const bytes = size(shape) * bytesPerElement(dtype)
      const { meter } = this
      allocations.set(id, { bytes, meter })
      meter.held += bytes
      meter.peak = Math.max(meter.peak, meter.held)
      return id
    }
    backend.disposeData = (id, force) => {
      const freed = disposeData(id, force)
      const allocation = allocations.get(id)
      if (freed && allocation) {
        allocation.meter.held -= allocation.bytes
        allocations.delete(id)
        const derived = this.derived.get(id)
        this.derived.delete(id)
        if (derived) for (const tensor of derived.values()) this.dispose(tensor)
      }
      return freed
    }
  }
}

const size = (shape: ReadonlyArray<number>): number => shape.reduce((product, extent) => product * extent, 1)

const bytesPerElement = (type: DataType): number => (type === "bool" ? 1 : 4)
