#include "unsandbox_arduino.h"
#include "unsandbox_arduino.h"

unsb_transport port_arduino(unsb_arduino *tcp, Client *client);
unsb_transport port_arduino(unsb_arduino *tcp, Client *client)
{
    return unsb_arduino_transport(tcp, client);
}
