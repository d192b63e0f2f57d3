/** The parts of the platform's API that the worker uses, so that it needs no types package besides Bun's. */

declare module "*.wasm" {
  const module: WebAssembly.Module
  export default module
}

declare module "*.safetensors" {
  const bytes: ArrayBuffer
  export default bytes
}

declare module "cloudflare:workers" {
  export abstract class DurableObject<Env> {
    constructor(ctx: DurableObjectState, env: Env)
    protected readonly ctx: DurableObjectState
    protected readonly env: Env
  }

  export interface DurableObjectState {
    readonly storage: DurableObjectStorage
  }

  export interface DurableObjectStorage {
    readonly sql: {
      exec<Row>(
        query: string,
        ...bindings: ReadonlyArray<string | number | ArrayBuffer>
      ): { toArray(): ReadonlyArray<Row> }
    }
    /** Stores all writes of `work`, or none. */
    transactionSync<A>(work: () => A): A
  }

  export interface DurableObjectNamespace {
    idFromName(name: string): unknown
    get(id: unknown): { fetch(request: Request): Promise<Response> }
  }
}
