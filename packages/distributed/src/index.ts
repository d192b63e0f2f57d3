/** Data-parallel training on MPI, bit-identical for any number of processes. */
export {
  Communicator,
  CommunicatorError,
  type CommunicatorService,
  local,
  type Reduction,
  total,
} from "./communicator.ts"
export { type ExchangeCost, exchangeCost, type Link } from "./cost.ts"
export { mpi } from "./mpi.ts"
export { type DistributedOptions, makeTrainer } from "./trainer.ts"
