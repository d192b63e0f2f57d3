/**
 * A TensorFlow.js engine: tensors, and the kernels that create them.
 *
 * Kernels are called directly, without TensorFlow.js's own engine, whose current backend, tape and tensors are global. Here a tensor is a
 * reference that its holder disposes of, and several engines can coexist.
 */
import type { DataId, DataType, KernelBackend, KernelFunc, NamedAttrMap, TensorInfo } from "@tensorflow/tfjs-core"
import type { Balance } from "./balance.ts"

/** A reference to a tensor's data under a shape. Several references may share data. */
export type Tensor = TensorInfo

/** Bytes of the tensors of one holder. */
export interface Meter {
  held: number
  peak: number
}

/** TensorFlow.js's kernel registry. */
export interface Registry {
  readonly getKernel: (name: string, backend: string) => { readonly kernelFunc: KernelFunc } | undefined
  readonly getKernelsForBackend: (
    backend: string,
  ) => ReadonlyArray<{ readonly setupFunc?: (backend: KernelBackend) => void }>
}

export interface EngineOptions {
  /** Name of the Spikeroute backend, and of the TensorFlow.js backend. */
  readonly name: string
  readonly registeredAs: string
  readonly description: string
  readonly backend: KernelBackend
  readonly registry: Registry
  /** Set if kernels run asynchronously; tensors are then read asynchronously. */
  readonly later?: {
    /** The first error of any kernel so far. */
    readonly fault: () => string | undefined
    readonly close: () => void
  }
  /** Memory limits in bytes, in total and per tensor, if known. */
  readonly holds?: { readonly total?: number; readonly tensor?: number }
  /** A view of a float32 tensor's memory, if JavaScript can access it. Valid until the next allocation. */
  readonly memory?: (tensor: Tensor) => Float32Array
}

interface Allocation {
  readonly bytes: number
  readonly meter: Meter
}

/** The backend whose WebAssembly functions are bound: TensorFlow.js keeps them in module variables, so only one can be active. */
let inCharge: KernelBackend | undefined

export class Engine {
  readonly name: string
  readonly description: string
  readonly memory: ((tensor: Tensor) => Float32Array) | undefined
  readonly later: EngineOptions["later"]
  readonly holds: EngineOptions["holds"]
  /** Set if the number of threads can change. */
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

  /** Runs a kernel and returns a new reference to its result. */
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

  /** A new tensor with a copy of `values`, or uninitialised. */
  create(shape: ReadonlyArray<number>, values?: Float32Array): Tensor {
    const extents = [...shape]
    // Engines without accessible memory take ownership of the array.
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

  /** A copy of a tensor's values, as numbers. */
  read(tensor: Tensor): Float32Array | Promise<Float32Array> {
    // Engines without accessible memory return their own array.
    const copy = (values: unknown) =>
      this.memory ? (values as Float32Array) : Float32Array.from(values as Float32Array)
    if (this.later === undefined) return copy(this.backend.readSync(tensor.dataId))
    return (this.backend.read(tensor.dataId) as Promise<unknown>).then((values) => {
      this.check()
      return copy(values)
    })
  }

  /** Throws if an asynchronous kernel has failed. */
  check(): void {
    const fault = this.later?.fault()
    if (fault !== undefined) throw new Error(fault)
  }

  /** Another reference to the same data. */
  share(tensor: Tensor): Tensor {
    this.backend.incRef(tensor.dataId)
    return { ...tensor }
  }

  /** Whether this is the only reference to its data. */
  isUnique(tensor: Tensor): boolean {
    return this.backend.refCount(tensor.dataId) === 1
  }

  /** Releases a reference; the memory is freed with the last one. */
  dispose(tensor: Tensor): void {
    this.backend.disposeData(tensor.dataId)
  }

  /** A tensor derived from `source`, cached by name for the lifetime of the source's data. */
  derive(source: Tensor, name: string, make: () => Tensor): Tensor {
    const all = this.derived.get(source.dataId) ?? new Map<string, Tensor>()
    const found = all.get(name) ?? make()
    this.derived.set(source.dataId, all.set(name, found))
    return found
  }

  /** Activates this engine's kernels while `body` runs, and counts its allocations in `meter`. */
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

  /** Number of live tensors. */
  get tensors(): number {
    return this.backend.numDataIds()
  }

  /** Releases the engine and its threads. */
  close(): void {
    if (inCharge === this.backend) inCharge = undefined
    this.backend.dispose()
    this.later?.close()
  }

  /** Counts the backend's allocations, including those inside kernels. */
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
