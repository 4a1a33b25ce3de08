/* Find a device, reach its registers, and say what is wrong. */
#include "internal.h"

const char *hillock_text(enum hillock_status status)
{
    switch (status) {
#define HILLOCK_CASE(name, text) \
    case name: \
        return text;
        HILLOCK_STATUSES(HILLOCK_CASE)
#undef HILLOCK_CASE
    case HILLOCK_STATUS_COUNT:
        break;
    }
    return "unknown status";
}

const char *hillock_error_text(uint32_t bits)
{
#define HILLOCK_BIT(bit, text) \
    if ((bits & (bit)) != 0u) { \
        return text; \
    }
    HILLOCK_ERRORS(HILLOCK_BIT)
#undef HILLOCK_BIT
    return NULL;
}

uint32_t hillock_at_core(uint32_t core, uint32_t offset)
{
    return (core << HILLOCK_CORE_SHIFT | HILLOCK_REGISTERS_BASE) + offset;
}

uint32_t hillock_at_link(uint32_t offset)
{
    return HILLOCK_LINK_BASE + offset;
}

enum hillock_status hillock_fail(
    struct hillock *device, enum hillock_status status, uint32_t address, uint32_t expected, uint32_t found)
{
    device->fault.address = address;
    device->fault.expected = expected;
    device->fault.found = found;
    return status;
}

enum hillock_status hillock_read(struct hillock *device, uint32_t address, uint32_t *value)
{
    const struct hillock_port *port = device->port;
    return port->read(port->context, address, value) ? HILLOCK_OK : hillock_fail(device, HILLOCK_BUS, address, 0u, 0u);
}

enum hillock_status hillock_write(struct hillock *device, uint32_t address, uint32_t value)
{
    const struct hillock_port *port = device->port;
    return port->write(port->context, address, value) ? HILLOCK_OK
                                                      : hillock_fail(device, HILLOCK_BUS, address, value, 0u);
}

enum hillock_status hillock_get(struct hillock *device, uint32_t core, uint32_t offset, uint32_t *value)
{
    return hillock_read(device, hillock_at_core(core, offset), value);
}

/* The word at `address` must read `expected`; `status` where it does not. */
static enum hillock_status must_read(
    struct hillock *device, uint32_t address, uint32_t expected, enum hillock_status status)
{
    uint32_t found = 0u;
    HILLOCK_TRY(hillock_read(device, address, &found));
    return found == expected ? HILLOCK_OK : hillock_fail(device, status, address, expected, found);
}

enum hillock_status hillock_set(struct hillock *device, uint32_t core, uint32_t offset, uint32_t value)
{
    const uint32_t address = hillock_at_core(core, offset);
    HILLOCK_TRY(hillock_write(device, address, value));
    return must_read(device, address, value, HILLOCK_REGISTER);
}

/* A depth that a register gives as a power of two. */
static uint32_t depth_of(uint32_t geometry, uint32_t mask, uint32_t shift)
{
    return 1u << ((geometry & mask) >> shift & 31u);
}

enum hillock_status hillock_open(struct hillock *device, const struct hillock_port *port)
{
    const uint32_t geometry_at = hillock_at_link(HILLOCK_LINK_GEOMETRY_OFFSET);
    uint32_t geometry = 0u;
    device->port = port;
    device->image = NULL;
    device->input = NULL;
    device->cores = 0u;
    device->fault.address = 0u;
    device->fault.expected = 0u;
    device->fault.found = 0u;
    HILLOCK_TRY(must_read(
        device, hillock_at_link(HILLOCK_LINK_IDENTITY_OFFSET), HILLOCK_LINK_IDENTITY_VALUE, HILLOCK_NO_LINK));
    HILLOCK_TRY(must_read(
        device, hillock_at_link(HILLOCK_LINK_TABLE_OFFSET), HILLOCK_LINK_TABLE_DIGEST, HILLOCK_LINK_TABLE));
    HILLOCK_TRY(hillock_read(device, hillock_at_link(HILLOCK_LINK_DESIGN_OFFSET), &device->design));
    HILLOCK_TRY(hillock_read(device, hillock_at_link(HILLOCK_LINK_CLOCK_OFFSET), &device->clock_hz));
    HILLOCK_TRY(hillock_read(device, geometry_at, &geometry));
    device->output_depth = depth_of(
        geometry, HILLOCK_LINK_GEOMETRY_OUTPUT_DEPTH_LOG2_MASK, HILLOCK_LINK_GEOMETRY_OUTPUT_DEPTH_LOG2_SHIFT);
    device->decision_depth = depth_of(
        geometry, HILLOCK_LINK_GEOMETRY_DECISION_DEPTH_LOG2_MASK, HILLOCK_LINK_GEOMETRY_DECISION_DEPTH_LOG2_SHIFT);
    const uint32_t cores = (geometry & HILLOCK_LINK_GEOMETRY_CORES_MASK) >> HILLOCK_LINK_GEOMETRY_CORES_SHIFT;
    if (cores == 0u) {
        return hillock_fail(device, HILLOCK_NO_CORE, geometry_at, 1u, cores);
    }
    for (uint32_t core = 0u; core < cores; ++core) {
        HILLOCK_TRY(must_read(
            device, hillock_at_core(core, HILLOCK_IDENTITY_OFFSET), HILLOCK_IDENTITY_VALUE, HILLOCK_NO_CORE));
        HILLOCK_TRY(must_read(
            device, hillock_at_core(core, HILLOCK_TABLE_OFFSET), HILLOCK_TABLE_DIGEST, HILLOCK_CORE_TABLE));
    }
    device->cores = cores;
    return HILLOCK_OK;
}

enum hillock_status hillock_errors(struct hillock *device, uint32_t core, uint32_t *bits)
{
    return hillock_get(device, core, HILLOCK_ERROR_OFFSET, bits);
}

enum hillock_status hillock_clear_errors(struct hillock *device)
{
    for (uint32_t core = 0u; core < device->cores; ++core) {
        HILLOCK_TRY(hillock_write(device, hillock_at_core(core, HILLOCK_ERROR_OFFSET), HILLOCK_ERROR_MASK));
    }
    return hillock_write(device, hillock_at_link(HILLOCK_LINK_ERROR_OFFSET), UINT32_MAX);
}

enum hillock_status hillock_check_errors(struct hillock *device)
{
    for (uint32_t core = 0u; core < device->cores; ++core) {
        HILLOCK_TRY(must_read(device, hillock_at_core(core, HILLOCK_ERROR_OFFSET), 0u, HILLOCK_CORE_ERROR));
    }
    return must_read(device, hillock_at_link(HILLOCK_LINK_ERROR_OFFSET), 0u, HILLOCK_LINK_ERROR);
}

enum hillock_status hillock_abort(struct hillock *device)
{
    /* First no input is left, so that no core begins anew; last, what left the cores meanwhile is dropped. */
    const uint32_t control = hillock_at_link(HILLOCK_LINK_CONTROL_OFFSET);
    HILLOCK_TRY(hillock_write(device, control, HILLOCK_LINK_CONTROL_RESTART_MASK));
    for (uint32_t core = 0u; core < device->cores; ++core) {
        HILLOCK_TRY(
            hillock_write(device, hillock_at_core(core, HILLOCK_CONTROL_OFFSET), HILLOCK_CONTROL_ABORT_MASK));
    }
    HILLOCK_TRY(hillock_write(device, control, HILLOCK_LINK_CONTROL_RESTART_MASK));
    return hillock_clear_errors(device);
}
