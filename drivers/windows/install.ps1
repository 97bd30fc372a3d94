#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
Installs usbip-win2 silently, after verify.ps1 has let it pass.
.DESCRIPTION
Installing restarts all USB 3 hubs: keyboards, disks and cameras at them are away for a moment.
#>
[CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
param(
    [Parameter(Mandatory)] [string] $Installer,
    [Parameter(Mandatory)] [string] $Sha256
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

& "$PSScriptRoot\verify.ps1" -Installer $Installer -Sha256 $Sha256
if ($PSCmdlet.ShouldProcess($env:COMPUTERNAME, 'install usbip-win2, which restarts the USB 3 hubs')) {
    $options = '/VERYSILENT', '/SUPPRESSMSGBOXES', '/NORESTART'
    $setup = Start-Process -FilePath $Installer -ArgumentList $options -Wait -PassThru
    if ($setup.ExitCode -ne 0) {
        throw "The installer ended with code $($setup.ExitCode)."
    }
    Write-Output 'usbip-win2 is installed. Go on with configure.ps1.'
}
