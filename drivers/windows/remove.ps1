#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
Takes back what configure.ps1 did. usbip-win2 itself is removed in Windows' settings, as its installer
restarts the USB 3 hubs again.
#>
[CmdletBinding(SupportsShouldProcess)]
param()
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$usbip = Join-Path $env:ProgramFiles 'USBip\usbip.exe'

if ((Test-Path -LiteralPath $usbip) -and $PSCmdlet.ShouldProcess('the reader', 'detach')) {
    & $usbip detach --all
}
if ($PSCmdlet.ShouldProcess('Cloudcard agent', 'remove the task')) {
    Stop-ScheduledTask -TaskName 'Cloudcard agent' -ErrorAction SilentlyContinue
    Unregister-ScheduledTask -TaskName 'Cloudcard agent' -Confirm:$false -ErrorAction SilentlyContinue
}
if ($PSCmdlet.ShouldProcess('Cloudcard reader: this computer alone', 'remove the firewall''s rule')) {
    Remove-NetFirewallRule -DisplayName 'Cloudcard reader: this computer alone' -ErrorAction SilentlyContinue
}
