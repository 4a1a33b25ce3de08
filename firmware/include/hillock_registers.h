/* The registers of hillock: every address, field and error, and the digests of their tables.
 *
 * Printed by `hillock registers --header` from hw/registers.py and hw/link_registers.py; change them there.
 *
 * Addresses count 32-bit words. A mask lies where its field does, and covers every bit that it can have in
 * any core. `ro`: read only; `rw`: read and write; `w1`: write one to act.
 */
#ifndef HILLOCK_REGISTERS_H
#define HILLOCK_REGISTERS_H

/* Digests and identities: what the registers `table` and `identity` must read */
#define HILLOCK_TABLE_DIGEST 0xc0e04176u
#define HILLOCK_LINK_TABLE_DIGEST 0xccec13c8u
#define HILLOCK_IDENTITY_VALUE 0x48494c4bu
#define HILLOCK_LINK_IDENTITY_VALUE 0x484c4e4bu

/* The bus: the number of the core stands above the bits of its own addresses */
#define HILLOCK_WORD_BYTES 4u
#define HILLOCK_CORE_SHIFT 26u
#define HILLOCK_REGION_SHIFT 22u

/* Regions of a core: word `i`, part `p` is at base + (i << part_bits | p) */
#define HILLOCK_REGISTERS_BASE 0x0u /* the registers below */
#define HILLOCK_LAYERS_BASE 0x400000u /* layer records, in the order in which the core runs the layers */
#define HILLOCK_CONNECTIONS_BASE 0x800000u /* connection records, in the order in which the core walks them */
#define HILLOCK_SYNAPSES_BASE 0xc00000u /* weights, `lanes` to a word */
#define HILLOCK_CURRENTS_BASE 0x1000000u /* currents, `lanes` to a word */
#define HILLOCK_POTENTIALS_BASE 0x1400000u /* membrane potentials, `lanes` to a word */
#define HILLOCK_COUNTS_BASE 0x1800000u /* output spikes counted for each class, read only */
#define HILLOCK_ROWS_BASE 0x1c00000u /* row table, see `TABLE_ENTRY` */
#define HILLOCK_COLUMNS_BASE 0x2000000u /* column table */
#define HILLOCK_CHANNELS_BASE 0x2400000u /* channel table */
#define HILLOCK_LANES_BASE 0x2800000u /* lane table: entry `layer << lane_bits | lane`, see `LANE_ENTRY` */

/* Registers of a core, from HILLOCK_REGISTERS_BASE on */
#define HILLOCK_IDENTITY_OFFSET 0x0u /* ro */
#define HILLOCK_IDENTITY_SHIFT 0u
#define HILLOCK_IDENTITY_MASK 0xffffffffu /* the letters HILK: there is a hillock core here */
#define HILLOCK_TABLE_OFFSET 0x1u /* ro */
#define HILLOCK_TABLE_SHIFT 0u
#define HILLOCK_TABLE_MASK 0xffffffffu /* digest of this register table */
#define HILLOCK_GEOMETRY_OFFSET 0x2u /* ro */
#define HILLOCK_GEOMETRY_LANES_SHIFT 0u
#define HILLOCK_GEOMETRY_LANES_MASK 0xffu /* weights added per clock cycle */
#define HILLOCK_GEOMETRY_WEIGHT_BITS_SHIFT 8u
#define HILLOCK_GEOMETRY_WEIGHT_BITS_MASK 0xff00u /* width of a weight */
#define HILLOCK_GEOMETRY_POTENTIAL_BITS_SHIFT 16u
#define HILLOCK_GEOMETRY_POTENTIAL_BITS_MASK 0xff0000u /* width of a membrane potential */
#define HILLOCK_GEOMETRY_FRACTION_BITS_SHIFT 24u
#define HILLOCK_GEOMETRY_FRACTION_BITS_MASK 0xff000000u /* bits of the potential below the weight's unit */
#define HILLOCK_CAPACITY_OFFSET 0x3u /* ro */
#define HILLOCK_CAPACITY_MAX_LAYERS_SHIFT 0u
#define HILLOCK_CAPACITY_MAX_LAYERS_MASK 0xffffu /* layer records */
#define HILLOCK_CAPACITY_CLASSES_SHIFT 16u
#define HILLOCK_CAPACITY_CLASSES_MASK 0xffff0000u /* output neurons that have a spike counter */
#define HILLOCK_CONTROL_OFFSET 0x4u /* w1 */
#define HILLOCK_CONTROL_START_SHIFT 0u
/* begin the inference of the image in the currents, after the one under way; refused without image */
#define HILLOCK_CONTROL_START_MASK 0x1u
#define HILLOCK_CONTROL_ABORT_SHIFT 1u
#define HILLOCK_CONTROL_ABORT_MASK 0x2u /* give up the inference and forget all waiting input and output */
#define HILLOCK_CONTROL_BANK_SHIFT 2u
#define HILLOCK_CONTROL_BANK_MASK 0x4u /* the bank of currents that holds the image to start with */
#define HILLOCK_STATUS_OFFSET 0x5u /* ro */
#define HILLOCK_STATUS_BUSY_SHIFT 0u
#define HILLOCK_STATUS_BUSY_MASK 0x1u /* an inference is under way */
#define HILLOCK_STATUS_DONE_SHIFT 1u
/* an inference has ended and `decision`, `cycles` and the counts are its result */
#define HILLOCK_STATUS_DONE_MASK 0x2u
#define HILLOCK_STATUS_PENDING_SHIFT 2u
#define HILLOCK_STATUS_PENDING_MASK 0x4u /* a start waits for the end of the inference under way */
#define HILLOCK_ERROR_OFFSET 0x6u /* w1 */
#define HILLOCK_ERROR_SHIFT 0u
#define HILLOCK_ERROR_MASK 0xffffffffu /* sticky; write ones to clear */
#define HILLOCK_LAYERS_OFFSET 0x7u /* rw */
#define HILLOCK_LAYERS_SHIFT 0u
#define HILLOCK_LAYERS_MASK 0xffffffffu /* number of layers in use */
#define HILLOCK_INPUT_MODE_OFFSET 0x8u /* rw */
#define HILLOCK_INPUT_MODE_IMAGE_SHIFT 0u
#define HILLOCK_INPUT_MODE_IMAGE_MASK 0x1u /* 0: input events; 1: an image in the currents of the first layer */
#define HILLOCK_INPUT_MODE_IS_STATIC_SHIFT 1u
/* 1: input events come once, before the first timestep, and are held as a current */
#define HILLOCK_INPUT_MODE_IS_STATIC_MASK 0x2u
#define HILLOCK_INPUT_CHANNELS_OFFSET 0x9u /* rw */
#define HILLOCK_INPUT_CHANNELS_SHIFT 0u
#define HILLOCK_INPUT_CHANNELS_MASK 0xffffffffu /* channels of the input */
#define HILLOCK_INPUT_GRID_OFFSET 0xau /* rw */
#define HILLOCK_INPUT_GRID_COLUMNS_SHIFT 0u
#define HILLOCK_INPUT_GRID_COLUMNS_MASK 0xffffu /* columns of the input */
#define HILLOCK_INPUT_GRID_ROWS_SHIFT 16u
#define HILLOCK_INPUT_GRID_ROWS_MASK 0xffff0000u /* rows of the input */
#define HILLOCK_TIMESTEPS_OFFSET 0xbu /* rw */
#define HILLOCK_TIMESTEPS_SHIFT 0u
#define HILLOCK_TIMESTEPS_MASK 0xffffu /* T, timesteps of an inference */
#define HILLOCK_DELAY_OFFSET 0xcu /* rw */
#define HILLOCK_DELAY_SHIFT 0u
#define HILLOCK_DELAY_MASK 0xffffu /* D, timesteps whose output spikes are not counted */
#define HILLOCK_DECISION_MODE_OFFSET 0xdu /* rw */
#define HILLOCK_DECISION_MODE_BY_POTENTIAL_SHIFT 0u
/* 0: the highest count decides; 1: the highest potential of the last layer */
#define HILLOCK_DECISION_MODE_BY_POTENTIAL_MASK 0x1u
#define HILLOCK_DECISION_MODE_NONE_SHIFT 1u
/* 1: nothing is decided, the decision is 0 and says that the inference has ended */
#define HILLOCK_DECISION_MODE_NONE_MASK 0x2u
#define HILLOCK_OUTPUTS_OFFSET 0xeu /* rw */
#define HILLOCK_OUTPUTS_SHIFT 0u
#define HILLOCK_OUTPUTS_MASK 0xffffffffu /* neurons of a last layer that decides */
#define HILLOCK_DECISION_OFFSET 0xfu /* ro */
#define HILLOCK_DECISION_SHIFT 0u
#define HILLOCK_DECISION_MASK 0xffffffffu /* the winner; ties go to the lowest index */
#define HILLOCK_IMAGE_WORDS_OFFSET 0x10u /* rw */
#define HILLOCK_IMAGE_WORDS_SHIFT 0u
/* current words of an image of which there are two, the second behind the first; 0: there is one */
#define HILLOCK_IMAGE_WORDS_MASK 0xffffffffu
#define HILLOCK_CYCLES_OFFSET 0x11u /* ro */
#define HILLOCK_CYCLES_SHIFT 0u
#define HILLOCK_CYCLES_MASK 0xffffffffu /* clock cycles from the first input word to the decision */

/* Bits of the register `error` of a core */
/* an input event beyond the grid of the input, or any input where that is an image: dropped */
#define HILLOCK_ERROR_INPUT_ADDRESS 0x1u
/* a write during an inference, unless to the bank that it does not use: ignored */
#define HILLOCK_ERROR_LOAD_WHILE_RUNNING 0x2u
/* a start while another is pending, or where the input is not an image: ignored */
#define HILLOCK_ERROR_START_REFUSED 0x4u
/* an access beyond a register or memory, or a write to what is read only: ignored */
#define HILLOCK_ERROR_BUS_ADDRESS 0x8u
/* slices of a memory word that did not come in order, lowest first: word not written */
#define HILLOCK_ERROR_SLICE_ORDER 0x10u
#define HILLOCK_ERRORS(X) \
    X(HILLOCK_ERROR_INPUT_ADDRESS, \
      "an input event beyond the grid of the input, or any input where that is an image: dropped") \
    X(HILLOCK_ERROR_LOAD_WHILE_RUNNING, \
      "a write during an inference, unless to the bank that it does not use: ignored") \
    X(HILLOCK_ERROR_START_REFUSED, \
      "a start while another is pending, or where the input is not an image: ignored") \
    X(HILLOCK_ERROR_BUS_ADDRESS, \
      "an access beyond a register or memory, or a write to what is read only: ignored") \
    X(HILLOCK_ERROR_SLICE_ORDER, \
      "slices of a memory word that did not come in order, lowest first: word not written")

/* The link, from HILLOCK_LINK_BASE on: registers, and windows that repeat what they have */
#define HILLOCK_LINK_BASE 0x3c00000u
#define HILLOCK_LINK_WINDOW_SHIFT 12u
#define HILLOCK_LINK_DECISION_WORDS 2u
#define HILLOCK_LINK_INPUTS_BASE 0x3c01000u
#define HILLOCK_LINK_OUTPUTS_BASE 0x3c02000u
#define HILLOCK_LINK_DECISIONS_BASE 0x3c03000u
#define HILLOCK_LINK_IDENTITY_OFFSET 0x0u /* ro */
#define HILLOCK_LINK_IDENTITY_SHIFT 0u
#define HILLOCK_LINK_IDENTITY_MASK 0xffffffffu /* the letters HLNK: there is a hillock link here */
#define HILLOCK_LINK_TABLE_OFFSET 0x1u /* ro */
#define HILLOCK_LINK_TABLE_SHIFT 0u
#define HILLOCK_LINK_TABLE_MASK 0xffffffffu /* digest of this register table */
#define HILLOCK_LINK_DESIGN_OFFSET 0x2u /* ro */
#define HILLOCK_LINK_DESIGN_SHIFT 0u
#define HILLOCK_LINK_DESIGN_MASK 0xffffffffu /* digest of the sizes of all cores: what was built */
#define HILLOCK_LINK_GEOMETRY_OFFSET 0x3u /* ro */
#define HILLOCK_LINK_GEOMETRY_CORES_SHIFT 0u
#define HILLOCK_LINK_GEOMETRY_CORES_MASK 0xffu /* cores in the pipeline */
#define HILLOCK_LINK_GEOMETRY_INPUT_DEPTH_LOG2_SHIFT 8u
/* input tokens that the input queue holds, as a power of two */
#define HILLOCK_LINK_GEOMETRY_INPUT_DEPTH_LOG2_MASK 0xff00u
#define HILLOCK_LINK_GEOMETRY_OUTPUT_DEPTH_LOG2_SHIFT 16u
#define HILLOCK_LINK_GEOMETRY_OUTPUT_DEPTH_LOG2_MASK 0xff0000u /* output tokens that the window holds */
#define HILLOCK_LINK_GEOMETRY_DECISION_DEPTH_LOG2_SHIFT 24u
#define HILLOCK_LINK_GEOMETRY_DECISION_DEPTH_LOG2_MASK 0xff000000u /* decisions that the window holds */
#define HILLOCK_LINK_CLOCK_OFFSET 0x4u /* ro */
#define HILLOCK_LINK_CLOCK_SHIFT 0u
#define HILLOCK_LINK_CLOCK_MASK 0xffffffffu /* clock cycles per second */
#define HILLOCK_LINK_DIVISOR_OFFSET 0x5u /* ro */
#define HILLOCK_LINK_DIVISOR_SHIFT 0u
#define HILLOCK_LINK_DIVISOR_MASK 0xffffffffu /* clock cycles per bit of the UART */
#define HILLOCK_LINK_CONTROL_OFFSET 0x6u /* w1 */
#define HILLOCK_LINK_CONTROL_RESTART_SHIFT 0u
/* forget waiting input, output and decisions; their numbers begin at 0 */
#define HILLOCK_LINK_CONTROL_RESTART_MASK 0x1u
#define HILLOCK_LINK_CONTROL_CLEAR_SHIFT 1u
#define HILLOCK_LINK_CONTROL_CLEAR_MASK 0x2u /* `received` and `sent` begin anew: with the command after this one */
#define HILLOCK_LINK_ERROR_OFFSET 0x7u /* w1 */
#define HILLOCK_LINK_ERROR_INPUT_FULL_SHIFT 0u
#define HILLOCK_LINK_ERROR_INPUT_FULL_MASK 0x1u /* an input token came while the input queue was full: dropped */
#define HILLOCK_LINK_ERROR_COMMAND_SHIFT 1u
/* the link saw a command that does not exist, or one that stopped half-way */
#define HILLOCK_LINK_ERROR_COMMAND_MASK 0x2u
#define HILLOCK_LINK_ERROR_ADDRESS_SHIFT 2u
/* an access beyond the link's registers and windows, or a write to what is read only */
#define HILLOCK_LINK_ERROR_ADDRESS_MASK 0x4u
#define HILLOCK_LINK_RECEIVED_OFFSET 0x8u /* ro */
#define HILLOCK_LINK_RECEIVED_SHIFT 0u
/* CRC-32 of all bytes received since `clear`, up to before the command that reads it */
#define HILLOCK_LINK_RECEIVED_MASK 0xffffffffu
#define HILLOCK_LINK_SENT_OFFSET 0x9u /* ro */
#define HILLOCK_LINK_SENT_SHIFT 0u
/* CRC-32 of all bytes sent since `clear`, up to before the answer that carries it */
#define HILLOCK_LINK_SENT_MASK 0xffffffffu
#define HILLOCK_LINK_INPUT_SPACE_OFFSET 0xau /* ro */
#define HILLOCK_LINK_INPUT_SPACE_SHIFT 0u
#define HILLOCK_LINK_INPUT_SPACE_MASK 0xffffu /* input tokens that can be put without waiting */
#define HILLOCK_LINK_INPUTS_PUT_OFFSET 0xbu /* ro */
#define HILLOCK_LINK_INPUTS_PUT_SHIFT 0u
#define HILLOCK_LINK_INPUTS_PUT_MASK 0xffffffffu /* input tokens put since `restart` */
#define HILLOCK_LINK_DECISIONS_GIVEN_OFFSET 0xcu /* ro */
#define HILLOCK_LINK_DECISIONS_GIVEN_SHIFT 0u
#define HILLOCK_LINK_DECISIONS_GIVEN_MASK 0xffffffffu /* decisions given since `restart` */
#define HILLOCK_LINK_DECISIONS_TAKEN_OFFSET 0xdu /* rw */
#define HILLOCK_LINK_DECISIONS_TAKEN_SHIFT 0u
#define HILLOCK_LINK_DECISIONS_TAKEN_MASK 0xffffffffu /* decisions that the host has */
#define HILLOCK_LINK_OUTPUTS_GIVEN_OFFSET 0xeu /* ro */
#define HILLOCK_LINK_OUTPUTS_GIVEN_SHIFT 0u
#define HILLOCK_LINK_OUTPUTS_GIVEN_MASK 0xffffffffu /* output tokens given since `restart` */
#define HILLOCK_LINK_OUTPUTS_TAKEN_OFFSET 0xfu /* rw */
#define HILLOCK_LINK_OUTPUTS_TAKEN_SHIFT 0u
/* output tokens that the host has; the window keeps those after them */
#define HILLOCK_LINK_OUTPUTS_TAKEN_MASK 0xffffffffu
#define HILLOCK_LINK_CYCLE_OFFSET 0x10u /* ro */
#define HILLOCK_LINK_CYCLE_SHIFT 0u
#define HILLOCK_LINK_CYCLE_MASK 0xffffffffu /* clock cycles since power-up */

/* Layer record: slice, place and mask of each field */
#define HILLOCK_LAYER_RECORD_SLICES 10u
#define HILLOCK_LAYER_RECORD_POTENTIAL_BASE_SLICE 0u
#define HILLOCK_LAYER_RECORD_POTENTIAL_BASE_SHIFT 0u
#define HILLOCK_LAYER_RECORD_POTENTIAL_BASE_MASK 0xffffffffu /* first potential word */
#define HILLOCK_LAYER_RECORD_CURRENT_BASE_SLICE 1u
#define HILLOCK_LAYER_RECORD_CURRENT_BASE_SHIFT 0u
#define HILLOCK_LAYER_RECORD_CURRENT_BASE_MASK 0xffffffu /* first current word */
#define HILLOCK_LAYER_RECORD_CURRENT_STEP_SLICE 1u
#define HILLOCK_LAYER_RECORD_CURRENT_STEP_SHIFT 24u
/* 0: the same current word always; 1: by channel word; 2: by potential word */
#define HILLOCK_LAYER_RECORD_CURRENT_STEP_MASK 0x3000000u
#define HILLOCK_LAYER_RECORD_CHANNEL_WORDS_SLICE 2u
#define HILLOCK_LAYER_RECORD_CHANNEL_WORDS_SHIFT 0u
#define HILLOCK_LAYER_RECORD_CHANNEL_WORDS_MASK 0xffffffu /* Wc, potential words of a place */
#define HILLOCK_LAYER_RECORD_CHANGE_SLICE 2u
#define HILLOCK_LAYER_RECORD_CHANGE_SHIFT 24u
/* cycles from the end of its pass to what comes next, see docs/cycles.md */
#define HILLOCK_LAYER_RECORD_CHANGE_MASK 0x7000000u
#define HILLOCK_LAYER_RECORD_COLUMN_WORDS_SLICE 3u
#define HILLOCK_LAYER_RECORD_COLUMN_WORDS_SHIFT 0u
#define HILLOCK_LAYER_RECORD_COLUMN_WORDS_MASK 0xffffu /* Xw, places of a row, `columns` together */
#define HILLOCK_LAYER_RECORD_ROWS_SLICE 3u
#define HILLOCK_LAYER_RECORD_ROWS_SHIFT 16u
#define HILLOCK_LAYER_RECORD_ROWS_MASK 0xffff0000u /* rows of places */
#define HILLOCK_LAYER_RECORD_CHANNELS_SLICE 4u
#define HILLOCK_LAYER_RECORD_CHANNELS_SHIFT 0u
#define HILLOCK_LAYER_RECORD_CHANNELS_MASK 0xffu /* b, channels in a potential word */
#define HILLOCK_LAYER_RECORD_COLUMNS_SLICE 4u
#define HILLOCK_LAYER_RECORD_COLUMNS_SHIFT 8u
#define HILLOCK_LAYER_RECORD_COLUMNS_MASK 0xff00u /* Q, columns in a potential word */
#define HILLOCK_LAYER_RECORD_USED_LANES_SLICE 4u
#define HILLOCK_LAYER_RECORD_USED_LANES_SHIFT 16u
#define HILLOCK_LAYER_RECORD_USED_LANES_MASK 0xff0000u /* lanes that are neurons, in a word that is not an end */
#define HILLOCK_LAYER_RECORD_END_LANES_SLICE 4u
#define HILLOCK_LAYER_RECORD_END_LANES_SHIFT 24u
#define HILLOCK_LAYER_RECORD_END_LANES_MASK 0xff000000u /* lanes that are neurons, in a word that is an end */
#define HILLOCK_LAYER_RECORD_THRESHOLD_SLICE 5u
#define HILLOCK_LAYER_RECORD_THRESHOLD_SHIFT 0u
#define HILLOCK_LAYER_RECORD_THRESHOLD_MASK 0xffffffffu /* theta: a neuron fires at or above it */
#define HILLOCK_LAYER_RECORD_PRELOAD_SLICE 6u
#define HILLOCK_LAYER_RECORD_PRELOAD_SHIFT 0u
#define HILLOCK_LAYER_RECORD_PRELOAD_MASK 0xffffffffu /* signed: V0, every potential before the first timestep */
#define HILLOCK_LAYER_RECORD_RESET_AMOUNT_SLICE 7u
#define HILLOCK_LAYER_RECORD_RESET_AMOUNT_SHIFT 0u
/* signed: R: subtracted (then not negative), or the value after a reset */
#define HILLOCK_LAYER_RECORD_RESET_AMOUNT_MASK 0xffffffffu
#define HILLOCK_LAYER_RECORD_LEAK_SHIFT_SLICE 8u
#define HILLOCK_LAYER_RECORD_LEAK_SHIFT_SHIFT 0u
#define HILLOCK_LAYER_RECORD_LEAK_SHIFT_MASK 0xffu /* k in V - (V >> k); 0: no leak */
#define HILLOCK_LAYER_RECORD_RESET_TO_VALUE_SLICE 8u
#define HILLOCK_LAYER_RECORD_RESET_TO_VALUE_SHIFT 8u
#define HILLOCK_LAYER_RECORD_RESET_TO_VALUE_MASK 0x100u /* 0: a reset subtracts R; 1: a reset leaves R */
#define HILLOCK_LAYER_RECORD_RESET_ALWAYS_SLICE 8u
#define HILLOCK_LAYER_RECORD_RESET_ALWAYS_SHIFT 9u
#define HILLOCK_LAYER_RECORD_RESET_ALWAYS_MASK 0x200u /* 0: a spike resets; 1: every timestep does */
#define HILLOCK_LAYER_RECORD_LEAK_FIRST_SLICE 8u
#define HILLOCK_LAYER_RECORD_LEAK_FIRST_SHIFT 10u
#define HILLOCK_LAYER_RECORD_LEAK_FIRST_MASK 0x400u /* 0: reset, then leak; 1: leak, then reset */
#define HILLOCK_LAYER_RECORD_FIRES_SLICE 8u
#define HILLOCK_LAYER_RECORD_FIRES_SHIFT 11u
#define HILLOCK_LAYER_RECORD_FIRES_MASK 0x800u /* 0: a readout layer, which integrates and never fires */
#define HILLOCK_LAYER_RECORD_GRADED_SLICE 8u
#define HILLOCK_LAYER_RECORD_GRADED_SHIFT 12u
#define HILLOCK_LAYER_RECORD_GRADED_MASK 0x1000u /* 0: events carry 1; 1: the potential */
#define HILLOCK_LAYER_RECORD_END_IS_COLUMN_SLICE 8u
#define HILLOCK_LAYER_RECORD_END_IS_COLUMN_SHIFT 13u
/* a word is an end if it is 0: the last of its place; 1: of the last place */
#define HILLOCK_LAYER_RECORD_END_IS_COLUMN_MASK 0x2000u
#define HILLOCK_LAYER_RECORD_IS_OUTPUT_SLICE 8u
#define HILLOCK_LAYER_RECORD_IS_OUTPUT_SHIFT 14u
#define HILLOCK_LAYER_RECORD_IS_OUTPUT_MASK 0x4000u /* its spikes leave the core */
#define HILLOCK_LAYER_RECORD_FEEDS_NEXT_SLICE 8u
#define HILLOCK_LAYER_RECORD_FEEDS_NEXT_SHIFT 15u
#define HILLOCK_LAYER_RECORD_FEEDS_NEXT_MASK 0x8000u /* the next walk takes its spikes from the queue */
#define HILLOCK_LAYER_RECORD_IS_KEPT_SLICE 8u
#define HILLOCK_LAYER_RECORD_IS_KEPT_SHIFT 16u
#define HILLOCK_LAYER_RECORD_IS_KEPT_MASK 0x10000u /* its spikes are written to the replay memory */
#define HILLOCK_LAYER_RECORD_CONNECTIONS_SLICE 8u
#define HILLOCK_LAYER_RECORD_CONNECTIONS_SHIFT 20u
/* how many connections it has, the next in the connection records */
#define HILLOCK_LAYER_RECORD_CONNECTIONS_MASK 0xfff00000u
#define HILLOCK_LAYER_RECORD_REPLAY_BASE_SLICE 9u
#define HILLOCK_LAYER_RECORD_REPLAY_BASE_SHIFT 0u
#define HILLOCK_LAYER_RECORD_REPLAY_BASE_MASK 0xffffu /* where the replay memory takes its spikes */
#define HILLOCK_LAYER_RECORD_LOAD_BASE_SLICE 9u
#define HILLOCK_LAYER_RECORD_LOAD_BASE_SHIFT 16u
#define HILLOCK_LAYER_RECORD_LOAD_BASE_MASK 0xffff0000u /* with static input: first word of the current before it */

/* Connection record: slice, place and mask of each field */
#define HILLOCK_CONNECTION_RECORD_SLICES 10u
#define HILLOCK_CONNECTION_RECORD_SYNAPSE_BASE_SLICE 0u
#define HILLOCK_CONNECTION_RECORD_SYNAPSE_BASE_SHIFT 0u
#define HILLOCK_CONNECTION_RECORD_SYNAPSE_BASE_MASK 0xffffffffu /* first synapse word */
#define HILLOCK_CONNECTION_RECORD_WORDS_SLICE 1u
#define HILLOCK_CONNECTION_RECORD_WORDS_SHIFT 0u
#define HILLOCK_CONNECTION_RECORD_WORDS_MASK 0xffffffu /* potential words of a tap */
#define HILLOCK_CONNECTION_RECORD_FROM_INPUT_SLICE 1u
#define HILLOCK_CONNECTION_RECORD_FROM_INPUT_SHIFT 24u
#define HILLOCK_CONNECTION_RECORD_FROM_INPUT_MASK 0x1000000u /* its events come from outside */
#define HILLOCK_CONNECTION_RECORD_FROM_REPLAY_SLICE 1u
#define HILLOCK_CONNECTION_RECORD_FROM_REPLAY_SHIFT 25u
/* its events come from the replay memory (otherwise from the queue, or outside) */
#define HILLOCK_CONNECTION_RECORD_FROM_REPLAY_MASK 0x2000000u
#define HILLOCK_CONNECTION_RECORD_IS_STATIC_SLICE 1u
#define HILLOCK_CONNECTION_RECORD_IS_STATIC_SHIFT 26u
#define HILLOCK_CONNECTION_RECORD_IS_STATIC_MASK 0x4000000u /* walked once, before the first timestep */
#define HILLOCK_CONNECTION_RECORD_BY_CHANNEL_SLICE 1u
#define HILLOCK_CONNECTION_RECORD_BY_CHANNEL_SHIFT 27u
/* the channel table is used; otherwise the channel is added to the synapse word */
#define HILLOCK_CONNECTION_RECORD_BY_CHANNEL_MASK 0x8000000u
#define HILLOCK_CONNECTION_RECORD_ROW_BASE_SLICE 2u
#define HILLOCK_CONNECTION_RECORD_ROW_BASE_SHIFT 0u
#define HILLOCK_CONNECTION_RECORD_ROW_BASE_MASK 0xffffu /* first entry of the row table */
#define HILLOCK_CONNECTION_RECORD_COLUMN_BASE_SLICE 2u
#define HILLOCK_CONNECTION_RECORD_COLUMN_BASE_SHIFT 16u
#define HILLOCK_CONNECTION_RECORD_COLUMN_BASE_MASK 0xffff0000u /* first entry of the column table */
#define HILLOCK_CONNECTION_RECORD_CHANNEL_BASE_SLICE 3u
#define HILLOCK_CONNECTION_RECORD_CHANNEL_BASE_SHIFT 0u
#define HILLOCK_CONNECTION_RECORD_CHANNEL_BASE_MASK 0xffffffffu /* first entry of the channel table */
#define HILLOCK_CONNECTION_RECORD_REPLAY_BASE_SLICE 4u
#define HILLOCK_CONNECTION_RECORD_REPLAY_BASE_SHIFT 0u
#define HILLOCK_CONNECTION_RECORD_REPLAY_BASE_MASK 0xffffu /* where the spikes of its source are in the replay memory */
#define HILLOCK_CONNECTION_RECORD_SOURCE_LAYER_SLICE 4u
#define HILLOCK_CONNECTION_RECORD_SOURCE_LAYER_SHIFT 16u
#define HILLOCK_CONNECTION_RECORD_SOURCE_LAYER_MASK 0xffff0000u /* the layer its events come from */
#define HILLOCK_CONNECTION_RECORD_COLUMN_STEP_SLICE 5u
#define HILLOCK_CONNECTION_RECORD_COLUMN_STEP_SHIFT 0u
/* from the last potential word of a tap to the next tap's */
#define HILLOCK_CONNECTION_RECORD_COLUMN_STEP_MASK 0xffffffffu
#define HILLOCK_CONNECTION_RECORD_ROW_STEP_SLICE 6u
#define HILLOCK_CONNECTION_RECORD_ROW_STEP_SHIFT 0u
/* from the first potential word of a row to the next row's */
#define HILLOCK_CONNECTION_RECORD_ROW_STEP_MASK 0xffffffffu
#define HILLOCK_CONNECTION_RECORD_SYNAPSE_STEP_SLICE 7u
#define HILLOCK_CONNECTION_RECORD_SYNAPSE_STEP_SHIFT 0u
/* from a synapse word to that of the next word of the tap */
#define HILLOCK_CONNECTION_RECORD_SYNAPSE_STEP_MASK 0xffffffffu
#define HILLOCK_CONNECTION_RECORD_SYNAPSE_COLUMN_STEP_SLICE 8u
#define HILLOCK_CONNECTION_RECORD_SYNAPSE_COLUMN_STEP_SHIFT 0u
/* as column_step; modulo the memory's address range */
#define HILLOCK_CONNECTION_RECORD_SYNAPSE_COLUMN_STEP_MASK 0xffffffffu
#define HILLOCK_CONNECTION_RECORD_SYNAPSE_ROW_STEP_SLICE 9u
#define HILLOCK_CONNECTION_RECORD_SYNAPSE_ROW_STEP_SHIFT 0u
#define HILLOCK_CONNECTION_RECORD_SYNAPSE_ROW_STEP_MASK 0xffffffffu /* as row_step; modulo the memory's address range */

/* Table record: slice, place and mask of each field */
#define HILLOCK_TABLE_RECORD_SLICES 2u
#define HILLOCK_TABLE_RECORD_SYNAPSE_SLICE 0u
#define HILLOCK_TABLE_RECORD_SYNAPSE_SHIFT 0u
#define HILLOCK_TABLE_RECORD_SYNAPSE_MASK 0xffffffffu /* added to the first synapse word */
#define HILLOCK_TABLE_RECORD_POTENTIAL_SLICE 1u
#define HILLOCK_TABLE_RECORD_POTENTIAL_SHIFT 0u
#define HILLOCK_TABLE_RECORD_POTENTIAL_MASK 0xffffffu /* added to the first potential word */
#define HILLOCK_TABLE_RECORD_COUNT_SLICE 1u
#define HILLOCK_TABLE_RECORD_COUNT_SHIFT 24u
#define HILLOCK_TABLE_RECORD_COUNT_MASK 0xff000000u /* target rows or column words; 0: the event reaches nothing */

/* Lane record: slice, place and mask of each field */
#define HILLOCK_LANE_RECORD_SLICES 1u
#define HILLOCK_LANE_RECORD_CHANNEL_SLICE 0u
#define HILLOCK_LANE_RECORD_CHANNEL_SHIFT 0u
#define HILLOCK_LANE_RECORD_CHANNEL_MASK 0xffu /* added to the channel of the word's first lane */
#define HILLOCK_LANE_RECORD_COLUMN_SLICE 0u
#define HILLOCK_LANE_RECORD_COLUMN_SHIFT 8u
#define HILLOCK_LANE_RECORD_COLUMN_MASK 0xffffff00u /* added to the column of the word's first lane */

#endif
